import { parse, stringify } from 'yaml'
import { meaning } from '../../checks/means.ts'
import { json } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import { openAlerts } from '../../observer/open-alerts.ts'
import { readSign } from '../../observer/sign.ts'
import { jobPath, jobsOf, labels, listeners, places, platformOf } from '../../platform/here.ts'
import { diagnose } from '../../steps/diagnosis.ts'
import type { Result } from '../../steps/step.ts'
import type { Prepared } from '../prepare.ts'

/** Lines of each log that are taken. */
const lastLines = 300

/** What a report needs, by the names of its files; as it is here, so it may not leave this machine like that. */
export async function contents(look: Look, prepared: Prepared, results: Result[]): Promise<Record<string, string>> {
  const at = places(look)
  const text = async (file: string) => (await look.read(file)) ?? 'is not there\n'
  const jobs = await Promise.all(
    Object.values(labels(look)).map(async (label) => [
      [`jobs/${label}.plist`, await text(jobPath(look, label))],
      [`jobs/${label}.txt`, await jobsOf(prepared.machine).told(look, label)],
    ]),
  )
  return {
    'checks.json': shown({ causes: causes(results), results }),
    'machine.json': shown(await machine(look, prepared)),
    'facts.txt': await facts(look),
    'settings.yaml': settings(prepared.setup.settingsText),
    'keys.json': shown(withoutNotes(json((await look.read(at.keys)) ?? '{}'))),
    'haproxy.cfg': await text(at.config),
    'haproxy.txt': await haproxy(look),
    ...Object.fromEntries(jobs.flat()),
    ...(await logs(look)),
  }
}

const shown = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`

const causes = (results: Result[]) =>
  diagnose(results).map(({ result: { id }, follows }) => ({ id, means: meaning(id), follows }))

/** What people write about one another is nobody else's. */
function withoutNotes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNotes)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'note' ? 'NOTE' : withoutNotes(inner)]),
  )
}

/** Without comments, which may say anything. */
const settings = (text: string): string => stringify(withoutNotes(parse(text)))

async function machine(look: Look, { machine, setup }: Prepared) {
  const { port, engine, peers, metrics, vip } = setup.settings
  const ports = [...new Set([port, engine.port, vip?.peers_port ?? peers.port, metrics.port])]
  return {
    ...{ version: setup.version, mode: setup.mode, programs: setup.programs, node: process.version, machine },
    listeners: (await Promise.all(ports.map((one) => listeners(look, one)))).flat(),
    observer: await readSign(look),
    alerts: await openAlerts(look),
    models: await look.query(['ollama', 'ps']),
  }
}

/** What its commands say of this machine, one after the other. */
async function facts(look: Look): Promise<string> {
  const said: string[] = []
  for (const [argv, kept] of platformOf(look).facts.told) {
    const { code, stdout, stderr } = await look.query(argv, { timeoutMs: 60_000 })
    said.push(`$ ${argv.join(' ')}   -> ${code}\n${kept?.(stdout) ?? stdout}${stderr}`)
  }
  return said.join('\n')
}

async function haproxy(look: Look): Promise<string> {
  const at = places(look)
  const asked = [
    [at.adminSocket, 'show info'],
    [at.masterSocket, 'show proc'],
  ].map(async ([socket = '', command = '']) => `> ${command}\n${(await look.ask(socket, command)) ?? 'no answer\n'}`)
  return (await Promise.all(asked)).join('\n')
}

/** A line that holds what somebody asked or was answered: Ollama writes such ones when it is told to debug. */
const personal = /level=(DEBUG|TRACE)|\bprompt\b/i

/** The last lines of every log but those that runs of test left, of which the newest of each kind is enough. */
async function logs(look: Look): Promise<Record<string, string>> {
  const folder = places(look).logs
  const names = (await look.list(folder)).filter((name) => name.endsWith('.log'))
  const kindOf = (name: string) => name.replace(/^\d{4}-\d\d-\d\dT[\dZ-]+-/, '')
  const newest = names.filter((name, index) => !names.slice(index + 1).some((other) => kindOf(other) === kindOf(name)))
  const read = newest.map(async (name) => {
    const { stdout } = await look.query(['tail', '-n', `${lastLines}`, `${folder}/${name}`])
    const lines = stdout.split('\n').filter((line) => !personal.test(line))
    return [`logs/${name}`, lines.map((line) => line.slice(0, 2000)).join('\n')] as const
  })
  return Object.fromEntries(await Promise.all(read))
}
