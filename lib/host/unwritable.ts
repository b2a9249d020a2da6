/** Why something cannot be written, and what helps. */
export interface Unwritable {
  why: string
  todo: string
}

const known: Record<string, Unwritable> = {
  ENOSPC: { why: 'the disk is full', todo: 'make room' },
  EDQUOT: { why: 'the disk quota is used up', todo: 'make room' },
  EROFS: { why: 'its disk can only be read', todo: 'mount it so that it can be written' },
  EACCES: { why: 'this user may not write there', todo: 'give the folder back to the user that installed it' },
}

/** What a failed write says of the disk (errno(3)); undefined where it failed for another reason. */
export const unwritable = (error: unknown): Unwritable | undefined =>
  known[(error as NodeJS.ErrnoException | undefined)?.code ?? '']

/** A disk that takes nothing, where nobody's rights are in the way. */
export const fullOrClosed = (error: unknown): Unwritable | undefined =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'EACCES' ? undefined : unwritable(error)
