/** A path as one word of HAProxy's configuration, which splits words at blanks: a home folder may hold some. */
export const quoted = (path: string): string => path.replaceAll(' ', '\\ ')
