/** The first HAProxy, by major and minor, that has what some lines need. */
export type Since = readonly [number, number]

/** Lines for this HAProxy and newer ones, and those that older ones read in their place. */
export const eitherOf = (version: Since, newer: string[], older: string[]): string[] => [
  `.if version_atleast(${version.join('.')})`,
  ...newer,
  ...(older.length > 0 ? ['.else', ...older] : []),
  '.endif',
]

/** Lines for this HAProxy and newer ones. An older one leaves them out, or refuses the whole configuration when settings.yaml asks for them. */
export const since = (version: Since, lines: string[], asked: string[] = []): string[] =>
  eitherOf(
    version,
    lines,
    asked.length > 0
      ? [`.alert "${asked.join(', ')} in settings.yaml need HAProxy ${version.join('.')} or newer"`]
      : [],
  )
