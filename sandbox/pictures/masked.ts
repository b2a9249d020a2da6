/** A screen without what differs from run to run: numbers, days, and the blanks that line them up. */
export const masked = (text: string): string =>
  text
    .replaceAll(/\b(second|minute|hour|day)s?\b/g, 'TIME')
    .replaceAll(/[█▒░·]+/g, '█')
    .replaceAll(/\d+/g, '0')
    .replaceAll(/ +/g, ' ')
    .trim()
