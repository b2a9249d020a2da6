import { randomBytes } from 'node:crypto'
import { exitCodes, Stop, Unexpected } from '../../host/command.ts'
import type { Host, Look } from '../../host/host.ts'
import { filled, type Recipe, sourceOf } from './book.ts'

/** A file as it is to be: those with secrets are for their owner alone. */
export interface Written {
  path: string
  text: string
  mode: number
  was?: string
}

const isSecret = (path: string): boolean => path.endsWith('/.env')

/** 64 letters of hexadecimal, another one each time. */
const secret = (): string => randomBytes(32).toString('hex')

const variable = (line: string): string | undefined => /^(\w+)=/.exec(line)?.[1]

/** What is there stays as it is, secrets above all; variables that it lacks are added. */
function completed(fresh: string, before: string | undefined): string {
  const made = fresh.replaceAll('{{secret}}', secret)
  if (before === undefined) return made
  const there = before.split('\n').flatMap((line) => variable(line) ?? [])
  const lacking = made.split('\n').filter((line) => !there.includes(variable(line) ?? there[0] ?? ''))
  return lacking.length > 0 ? `${before.replace(/\n*$/, '\n')}${lacking.join('\n').replace(/\n*$/, '\n')}` : before
}

async function planned(look: Look, source: string, path: string, fresh: string): Promise<Written> {
  const [facts, was] = [await look.stat(path), await look.read(path)]
  if (isSecret(source) && facts && (facts.mode & 0o077) !== 0)
    throw new Stop(
      exitCodes.usage,
      `Others may read ${path}, which holds secrets, so nothing was changed; close it with: chmod 600 ${path}`,
    )
  return isSecret(source)
    ? { path, text: completed(fresh, was), mode: 0o600, was }
    : { path, text: fresh, mode: 0o644, was }
}

/** The files of a part as they are to be, none of them written yet. Throws `Stop` (exit 2) where one has secrets that others may read. */
export async function filesOf(
  look: Look,
  name: string,
  { files }: Recipe['parts'][string],
  values: Record<string, string>,
): Promise<Written[]> {
  return Promise.all(
    Object.entries(files).map(async ([source, place]) => {
      const path = filled(place, values)
      return planned(look, path, path, filled(await sourceOf(look, name, source), values))
    }),
  )
}

/** An image by its digest, so that the same name cannot become another one later. */
async function pinned(host: Host, image: string): Promise<string> {
  const ask = async (argv: string[]) =>
    host.run(argv, { timeoutMs: 3_600_000 }).catch((error: unknown) => {
      if (!(error instanceof Unexpected)) throw error
      throw new Stop(
        exitCodes.precondition,
        error.output.code === 127
          ? 'There is no docker here to ask for digests; leave --pin out, or run this where it is.'
          : `Docker cannot get the image ${image}, so nothing was written; it says why with: docker pull ${image}`,
      )
    })
  await ask(['docker', 'pull', '--quiet', image])
  const { stdout } = await ask(['docker', 'image', 'inspect', '--format', '{{join .RepoDigests "\\n"}}', image])
  // The same image may have come under another name as well, from where this one cannot be had.
  const own = stdout.split('\n').find((line) => line.startsWith(`${image.replace(/:[^:/]*$/, '')}@`))
  const digest = /@(sha256:[0-9a-f]{64})$/.exec(own?.trim() ?? '')?.[1]
  if (digest === undefined)
    throw new Stop(exitCodes.precondition, `Docker has no digest of ${image}, as of one that was built here.`)
  return `${image}@${digest}`
}

/** The same files with each image by the digest that this machine's Docker resolves now. */
export async function withDigests(host: Host, files: Written[]): Promise<Written[]> {
  const lines = files.flatMap(({ text }) => [...text.matchAll(/^ +image: (\S+)$/gm)].map(([, image = '']) => image))
  const digests = new Map<string, string>()
  for (const image of new Set(lines)) digests.set(image, await pinned(host, image))
  return files.map((file) => ({
    ...file,
    text: file.text.replaceAll(
      /^( +image: )(\S+)$/gm,
      (_, before: string, image: string) => `${before}${digests.get(image)}`,
    ),
  }))
}
