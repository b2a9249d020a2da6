/** A word as the shell reads it back unchanged. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** A command line of these words. */
export function quoteAll(argv: string[]): string {
  return argv.map(quote).join(' ')
}
