/** "16.0" is what macOS 26 calls itself to old programs (dotnet/runtime#116536). */
export function versionNumbers(text: string): number[] {
  const numbers = (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').filter(Boolean).map(Number)
  return numbers[0] === 16 ? [26, ...numbers.slice(1)] : numbers
}

/** Whether a version is at least another, number by number. */
export function atLeast(version: number[], minimum: number[]): boolean {
  const length = Math.max(version.length, minimum.length)
  for (let at = 0; at < length; at += 1) {
    const difference = (version[at] ?? 0) - (minimum[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}
