/** How many letters have to be changed, left out, put in or swapped with the next to make one word of the other (optimal string alignment). */
function distance(one: string, other: string): number {
  let [before, last]: number[][] = [[], Array.from({ length: other.length + 1 }, (_, at) => at)]
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1]
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      next[column] = Math.min(
        (last?.[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last?.[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before?.[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    ;[before, last] = [last, next]
  }
  return last?.[other.length] ?? 0
}

/** The known word that was probably meant: at most a third of its letters, and no more than three, are otherwise. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const small = word.slice(0, 60).toLowerCase()
  const [best] = known
    .map((name) => ({ name, far: distance(small, name.toLowerCase()) }))
    .filter(({ name, far }) => far <= Math.min(3, Math.max(1, Math.floor(name.length / 3))))
    .sort((one, other) => one.far - other.far)
  return best?.name
}

/** `; did you mean NAME?`, or nothing where no known word is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const name = nearest(word, known)
  return name === undefined ? '' : `; did you mean ${name}?`
}
