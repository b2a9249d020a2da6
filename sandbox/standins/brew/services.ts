import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'plist'
import { type Box, isRoot } from '../box.ts'
import { complain, say } from '../system.ts'

interface Service {
  name: string
  status: string
  user: string | null
  file: string
  exit_code: number | null
}

const label = (name: string) => `homebrew.mxcl.${name}`

function plistPath(name: string): string {
  return join(process.env.HOME ?? '/', 'Library/LaunchAgents', `${label(name)}.plist`)
}

/** What each formula's service runs (Formula/o/ollama.rb, h/haproxy.rb of homebrew-core). */
function job(box: Box, name: string): Record<string, unknown> {
  const { prefix } = box.mac
  const program = join(prefix, 'opt', name, 'bin', name)
  const ollama = {
    ProgramArguments: [program, 'serve'],
    EnvironmentVariables: { OLLAMA_FLASH_ATTENTION: '1', OLLAMA_KV_CACHE_TYPE: 'q8_0' },
  }
  const haproxy = { ProgramArguments: [program, '-f', join(prefix, 'etc/haproxy.cfg')] }
  const logs = join(prefix, 'var/log', `${name}.log`)
  return {
    KeepAlive: true,
    Label: label(name),
    LimitLoadToSessionType: ['Aqua', 'Background', 'LoginWindow', 'StandardIO', 'System'],
    ...(name === 'ollama' ? ollama : haproxy),
    RunAtLoad: true,
    StandardErrorPath: logs,
    StandardOutPath: logs,
    WorkingDirectory: join(prefix, 'var'),
  }
}

function launchctl(words: string[]): { code: number; stdout: string } {
  const { status, stdout } = spawnSync('launchctl', words, { encoding: 'utf8' })
  return { code: status ?? 127, stdout: stdout ?? '' }
}

function domain({ mac }: Box): string {
  return mac.desktop ? `gui/${mac.uid}` : `user/${mac.uid}`
}

function survey(box: Box, name: string): Service & { pid: number | null; loaded: boolean } {
  const { code, stdout } = launchctl(['print', `${domain(box)}/${label(name)}`])
  const pid = Number(/^\tpid = (\d+)/m.exec(stdout)?.[1]) || null
  const exit = /^\tlast exit code = (\d+)/m.exec(stdout)?.[1]
  const loaded = code === 0
  const status = !loaded ? 'none' : pid ? 'started' : exit !== undefined && exit !== '0' ? 'error' : 'scheduled'
  return {
    name,
    status,
    user: loaded ? box.mac.user : null,
    file: existsSync(plistPath(name)) ? plistPath(name) : join(box.mac.prefix, 'opt', name, `${label(name)}.plist`),
    exit_code: exit === undefined ? null : Number(exit),
    pid,
    loaded,
  }
}

function list(box: Box, json: boolean): number {
  const names = Object.keys(box.mac.brew.installed).filter((name) => name !== 'node')
  const found = names.sort().map((name) => survey(box, name))
  const plain = found.map(({ name, status, user, file, exit_code }) => ({ name, status, user, file, exit_code }))
  if (json) return say(JSON.stringify(plain, null, 2))
  say('Name    Status  User File')
  for (const { name, status, user, file } of plain)
    say(`${name.padEnd(8)}${status.padEnd(8)}${user ?? ''} ${user ? file : ''}`)
  return 0
}

function info(box: Box, name: string): number {
  const { pid, loaded, ...service } = survey(box, name)
  const { ProgramArguments, StandardOutPath } = job(box, name)
  const registered = existsSync(plistPath(name))
  const more = { service_name: label(name), running: pid !== null, loaded, schedulable: false, pid, registered }
  return say(
    JSON.stringify(
      [{ ...service, ...more, command: (ProgramArguments as string[]).join(' '), log_path: StandardOutPath }],
      null,
      2,
    ),
  )
}

function start(box: Box, name: string): number {
  if (name === 'tailscale') return tailscaled(box, true)
  if (survey(box, name).loaded)
    return say(`Service \`${name}\` already started, use \`brew services restart ${name}\` to restart.`)
  mkdirSync(join(process.env.HOME ?? '/', 'Library/LaunchAgents'), { recursive: true })
  mkdirSync(join(box.mac.prefix, 'var/log'), { recursive: true })
  writeFileSync(plistPath(name), `${build(job(box, name) as Parameters<typeof build>[0])}\n`, { mode: 0o644 })
  launchctl(['enable', `${domain(box)}/${label(name)}`])
  const words = ['bootstrap', domain(box), plistPath(name)]
  const { code } = launchctl(words)
  if (code !== 0)
    return complain(`Error: Failure while executing; \`/bin/launchctl ${words.join(' ')}\` exited with ${code}.`)
  return say(`==> Successfully started \`${name}\` (label: ${label(name)})`)
}

async function stop(box: Box, name: string, keep: boolean): Promise<number> {
  if (name === 'tailscale') return tailscaled(box, false)
  if (!survey(box, name).loaded) return say(`Service \`${name}\` is not started.`)
  say(`Stopping \`${name}\`... (might take a while)`)
  const target = `${domain(box)}/${label(name)}`
  launchctl(['bootout', target])
  for (let waited = 0; launchctl(['print', target]).code === 0 && waited < 60_000; waited += 100) await sleep(100)
  if (!keep) rmSync(plistPath(name), { force: true })
  return say(`==> Successfully stopped \`${name}\` (label: ${label(name)})`)
}

/** tailscaled is root's daemon; here it is only said to run. */
function tailscaled(box: Box, runs: boolean): number {
  if (!isRoot()) return complain('Warning: tailscale must be run as root to start at system startup!')
  box.save(({ tailscale }) => {
    tailscale.daemon = runs
  })
  return say(`==> Successfully ${runs ? 'started' : 'stopped'} \`tailscale\` (label: ${label('tailscale')})`)
}

/** brew services: list, info, start, stop, restart. Each drives launchctl as the real one does (Homebrew/brew services/cli.rb). */
export async function services(argv: string[], box: Box): Promise<number> {
  const [verb = 'list', name = ''] = argv.filter((word) => !word.startsWith('-'))
  if (verb === 'list') return list(box, argv.includes('--json'))
  if (!box.mac.brew.installed[name]) return complain(`Error: Formula \`${name}\` is not installed.`)
  if (verb === 'info') return info(box, name)
  if (verb === 'start' || verb === 'run') return start(box, name)
  if (verb === 'stop') return stop(box, name, argv.includes('--keep'))
  if (verb !== 'restart') return complain(`Error: unknown subcommand \`${verb}\``)
  await stop(box, name, true)
  return start(box, name)
}
