import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { Stop } from '../../lib/host/command.ts'
import { realLook } from '../../lib/host/host.ts'
import { ownNames } from '../../lib/platform/own-names.ts'
import { redactAll } from '../../lib/platform/redact.ts'
import { recordFacts } from './recorder/facts.ts'
import { recordLaunchd } from './recorder/launchd.ts'
import { type Recorded, writeRecording } from './recorder/recording.ts'

const usage = `Usage: npm run record -- [options]
Writes one file with what the stand-ins of this project rest on: versions, exit codes, formats and times of this Mac's commands.
No names, addresses or keys are in it. It takes about two minutes; look into the file before you send it.

  --file FILE        where to (recorded-macos-VERSION.json here)
  --disabled         also disables and enables the throw-away label; launchd then remembers that label for good
  --yes              without asking
  --unpack FILE      instead of all these: makes a folder of sandbox/transcripts/launchd out of such a file
  --into FOLDER      where the folder goes (sandbox/transcripts/launchd)
`

/** What one file holds. */
interface File {
  recorder: 1
  macos: string
  facts: Awaited<ReturnType<typeof recordFacts>>
  launchd: Recorded[]
  timings: Record<string, number>
}

const options = {
  file: { type: 'string' },
  disabled: { type: 'boolean' },
  yes: { type: 'boolean' },
  unpack: { type: 'string' },
  into: { type: 'string' },
  help: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

const say = (text: string) => process.stdout.write(`${text}\n`)

function unpack(file: string, into = 'sandbox/transcripts/launchd'): void {
  const { macos, launchd } = JSON.parse(readFileSync(file, 'utf8')) as File
  if (!/^\d+(\.\d+)*$/.test(macos)) throw new Stop(2, `${file} was not written by this recorder.`)
  const folder = resolve(into, macos)
  writeRecording(folder, launchd)
  say(`${launchd.length} calls of launchctl are in ${folder}; npm run check compares the stand-in with them.`)
}

async function consent({ yes, disabled }: Flags, label: string, file: string): Promise<void> {
  say(`This will:
  - ask this Mac's commands for versions and formats (sw_vers, sysctl, pmset, ifconfig, lsof … about things of its own)
  - make a LaunchAgent named ${label} some times, for a minute in all, and remove it; macOS may tell of a background item
  - write ${file}, and send nothing anywhere`)
  if (disabled) say('  - disable and enable that label, which launchd remembers for good in a list of its own')
  if (yes) return
  if (!process.stdin.isTTY) throw new Stop(2, 'Nobody can be asked here; run npm run record -- --yes.')
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await lines.question('Continue? (Y/n) ').finally(() => lines.close())
  if (!/^(y|yes)?$/i.test(answer.trim())) throw new Stop(4, 'Nothing was changed.')
}

async function record(flags: Flags): Promise<void> {
  const look = realLook()
  const macos = (await look.query(['sw_vers', '-productVersion'])).stdout.trim()
  if (macos === '') throw new Stop(3, 'This is no Mac; the recorder is for one.')
  const uid = process.getuid?.() ?? 501
  if (uid === 0) throw new Stop(3, 'Run this as yourself, without sudo.')
  if ((await look.query(['launchctl', 'print', `gui/${uid}`])).code !== 0)
    throw new Stop(
      3,
      'You are not logged in at the desktop of this Mac, where a LaunchAgent lives; log in there and run this again.',
    )
  const [label, file] = [`org.example.recorder-${process.pid}`, resolve(flags.file ?? `recorded-macos-${macos}.json`)]
  if (existsSync(file)) throw new Stop(3, `${file} is there already; move it away or name another with --file.`)
  await consent(flags, label, file)
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stopped.abort(new Stop(130, 'Interrupted; what was made for it is removed.')))
  const launchctl = (...argv: string[]) => look.query(['launchctl', ...argv], { timeoutMs: 60_000 })
  const ground = { launchctl, uid, home: look.home, label, signal: stopped.signal }
  const { recorded, timings } = await recordLaunchd({ ...ground, disables: flags.disabled === true })
  const written: File = { recorder: 1, macos, facts: await recordFacts(look), launchd: recorded, timings }
  writeFileSync(file, `${JSON.stringify(redactAll(written, await ownNames(look)), null, 1)}\n`, { mode: 0o600 })
  say(`Written: ${file}. Nothing else of it is left on this Mac.`)
}

function flags(): Flags {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    throw new Stop(2, `${(error as Error).message.split('\n')[0]}\n\n${usage}`)
  }
}

async function main(): Promise<void> {
  const given = flags()
  if (given.help) say(usage)
  else if (given.unpack !== undefined) unpack(given.unpack, given.into)
  else await record(given)
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Stop ? error.message : error}\n`)
  process.exitCode = error instanceof Stop ? error.code : 1
})
