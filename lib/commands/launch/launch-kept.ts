import { z } from 'zod'
import { json } from '../../host/command.ts'
import type { Host, Look } from '../../host/host.ts'

const form = z.object({
  version: z.literal(1),
  /** the server that was asked last, such as http://studio.tail1234.ts.net:11434 */
  server: z.string().optional(),
  /** API keys by their servers, kept after a yes only; none goes to another server */
  keys: z.record(z.string(), z.string()).default({}),
  /** the files beside this one that were written */
  files: z.array(z.string()).default([]),
})

/** What `launch` has written: its own receipt. */
export type Kept = z.infer<typeof form>

/** The folder in which everything of `launch` lies, each person's own on every system; it is made 0700 with files 0600. */
export const launchFolder = (look: Look): string => `${look.home}/.config/remote-ollama-proxy/launch`

const fileOf = (look: Look): string => `${launchFolder(look)}/receipt.json`

/** What was written by earlier runs; undefined where nothing was, or it cannot be read. */
export async function kept(look: Look): Promise<Kept | undefined> {
  const read = form.safeParse(json((await look.read(fileOf(look))) ?? ''))
  return read.success ? read.data : undefined
}

/** Adds to what is kept; the receipt is written before the files that it names. */
export async function keep(host: Host, more: Partial<Kept>): Promise<void> {
  const before: Kept = (await kept(host)) ?? { version: 1, keys: {}, files: [] }
  const files = [...new Set([...before.files, ...(more.files ?? [])])]
  const after = { ...before, ...more, keys: { ...before.keys, ...more.keys }, files }
  if (JSON.stringify(before) === JSON.stringify(after)) return
  await host.folder(launchFolder(host))
  await host.write(fileOf(host), `${JSON.stringify(after, null, 2)}\n`)
}

/** Removes what was written, and the folder when nothing else is in it; gives what is gone. */
export async function forget(host: Host): Promise<string[]> {
  const folder = launchFolder(host)
  const { files } = (await kept(host)) ?? { files: [] }
  const all = [...files.map((name) => `${folder}/${name}`), fileOf(host)]
  const there: string[] = []
  for (const file of all) if (await host.stat(file)) there.push(file)
  for (const file of there) await host.remove(file)
  if ((await host.stat(folder)) && (await host.list(folder)).length === 0) await host.remove(folder)
  return there
}
