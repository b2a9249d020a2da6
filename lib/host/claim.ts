import * as fs from 'node:fs/promises'
import path from 'node:path'

/** Creates a file with its text in one step, only when it is not there; false when it is. */
export async function claim(file: string, text: string): Promise<boolean> {
  const temporary = `${file}.new-${process.pid}`
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  await fs.writeFile(temporary, text, { mode: 0o600 })
  try {
    await fs.link(temporary, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await fs.rm(temporary, { force: true })
  }
}
