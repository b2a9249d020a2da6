import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBinary } from 'plist'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { bundleStandins, field, isAlive, openTestBox, type TestBox, until } from './testbox.ts'

let folder: string
let file: string
let box: TestBox

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ldb-'))
  file = await bundleStandins(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach(async () => {
  box = await openTestBox(file)
})
afterEach(() => box.close())

const sleeper = { ProgramArguments: ['/bin/sleep', '600'], RunAtLoad: true }
const ioError = 'Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors.\n'

test('bootstrap loads a plist silently and print shows it running, in tabbed lines', async () => {
  const log = join(box.home, 'Library/Logs/tool/a.log')
  const path = box.agent('com.a', {
    ...sleeper,
    KeepAlive: true,
    ProcessType: 'Interactive',
    ExitTimeOut: 30,
    EnvironmentVariables: { OLLAMA_HOST: '127.0.0.1:11434' },
    StandardOutPath: log,
    StandardErrorPath: log,
    SoftResourceLimits: { NumberOfFiles: 8192 },
  })
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toEqual({ code: 0, stdout: '', stderr: '' })
  const pid = await box.pid('com.a')
  const { stdout } = await box.launchctl('print', 'gui/501/com.a')
  expect(stdout.startsWith('gui/501/com.a = {\n\tactive count = 1\n')).toBe(true)
  expect(stdout).toContain('\targuments = {\n\t\t/bin/sleep\n\t\t600\n\t}\n')
  expect(stdout).toContain('\t\tOLLAMA_HOST => 127.0.0.1:11434\n\t\tXPC_SERVICE_NAME => com.a\n')
  expect(stdout).toContain('\t\tmaxfiles (soft) => 8192\n')
  const shown = ['path', 'type', 'state', 'program', 'stdout path', 'minimum runtime', 'exit timeout', 'runs', 'pid']
  expect(shown.map((name) => field(stdout, name))).toEqual([
    path,
    'LaunchAgent',
    'running',
    '/bin/sleep',
    log,
    '10',
    '30',
    '1',
    String(pid),
  ])
  expect(field(stdout, 'last exit code')).toBe('(never exited)')
  expect(field(stdout, 'spawn type')).toBe('interactive (4)')
  expect(field(stdout, 'properties')).toBe('keepalive | runatload | inferred program')
})

test('a binary plist is read like an XML one', async () => {
  const path = box.agent('com.b', sleeper)
  writeFileSync(path, buildBinary({ Label: 'com.b', ...sleeper }))
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(0)
  await box.pid('com.b')
})

test('bootstrap hides the reason for a bad plist behind a 5, and the log has it', async () => {
  const bad = box.agent('com.bad', sleeper)
  writeFileSync(bad, '<?xml version="1.0"?><plist><dict><key>Label</key>')
  const writable = box.agent('com.writable', sleeper)
  chmodSync(writable, 0o664)
  const programless = box.agent('com.programless', { RunAtLoad: true })
  for (const path of [bad, writable, programless, join(box.home, 'nothing.plist')]) {
    expect(await box.launchctl('bootstrap', 'gui/501', path)).toEqual({ code: 5, stdout: '', stderr: ioError })
  }
  const log = readFileSync(join(box.dir, 'run/launchd.log'), 'utf8')
  for (const code of [108, 109, 111, 122]) expect(log).toContain(`: ${code}: `)
  const asRoot = await box.launchctlWith({ SUDO_UID: '501' }, 'bootstrap', 'gui/501', writable)
  expect(asRoot).toMatchObject({ code: 122, stderr: 'Bootstrap failed: 122: Path had bad ownership/permissions\n' })
})

test.skipIf(process.getuid?.() !== 0)('bootstrap refuses a plist that belongs to someone else', async () => {
  const path = box.agent('com.foreign', sleeper)
  chownSync(path, 12345, 12345)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(5)
})

test('bootstrap of a loaded label fails with 5, or with 37 or 17 where the box is told so', async () => {
  const path = box.agent('com.twice', sleeper)
  await box.launchctl('bootstrap', 'gui/501', path)
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toMatchObject({ code: 5, stderr: ioError })
  box.mac({ launchd: { alreadyLoadedCode: 37 } })
  const already = 'Bootstrap failed: 37: Operation already in progress\n'
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toMatchObject({ code: 37, stderr: already })
  box.mac({ launchd: { alreadyLoadedCode: 17 } })
  const exists = `${path}: service already bootstrapped\nBootstrap failed: 17: File exists\n`
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toMatchObject({ code: 17, stderr: exists })
})

test('a first bootstrap can be made to fail once and then to pass', async () => {
  box.mac({ launchd: { transientBootstrapFailures: 1 } })
  const path = box.agent('com.transient', sleeper)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(5)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(0)
})

test('a loaded job can be made to stay down, until a plain kickstart', async () => {
  box.mac({ launchd: { stuckStarts: 1 } })
  await box.launchctl('bootstrap', 'gui/501', box.agent('com.stuck', { ...sleeper, KeepAlive: true }))
  const { stdout } = await box.launchctl('print', 'gui/501/com.stuck')
  expect([field(stdout, 'state'), field(stdout, 'last exit code')]).toEqual(['not running', '(never exited)'])
  expect((await box.launchctl('kickstart', 'gui/501/com.stuck')).code).toBe(0)
  await box.pid('com.stuck')
})

test('the system domain takes daemons from root only, and loads its own at boot', async () => {
  const daemons = join(box.dir, 'LaunchDaemons')
  const daemon = join(daemons, 'com.daemon.plist')
  mkdirSync(daemons)
  renameSync(box.agent('com.daemon', sleeper), daemon)
  expect((await box.launchctl('bootstrap', 'system', daemon)).code).toBe(5)
  expect((await box.launchctlWith({ SUDO_UID: '501' }, 'bootstrap', 'system', daemon)).code).toBe(0)
  box.mac({ desktop: false, launchd: { daemons } })
  await box.restartDaemon()
  expect(field((await box.launchctl('print', 'system/com.daemon')).stdout, 'type')).toBe('LaunchDaemon')
})

test('taking the desktop away in mac.json ends its jobs as a logout does', async () => {
  await box.launchctl('bootstrap', 'gui/501', box.agent('com.gone', sleeper))
  const pid = await box.pid('com.gone')
  box.mac({ desktop: false })
  await box.launchctl('list')
  await until('its process is dead', () => !isAlive(pid))
})

test('list shows running apps beside the jobs', async () => {
  box.mac({ ollamaApp: { running: true }, launchd: { apps: { 'application.com.other.1.2': 77 } } })
  expect((await box.launchctl('list')).stdout).toContain('-\t0\tapplication.com.electron.ollama.61282955.61282961\n')
  expect((await box.launchctl('list')).stdout).toContain('77\t0\tapplication.com.other.1.2\n')
})

test('another user has no domain here: 125 to bootstrap, 112 to print', async () => {
  const path = box.agent('com.x', sleeper)
  const refused = 'Bootstrap failed: 125: Domain does not support specified action\n'
  expect(await box.launchctl('bootstrap', 'gui/0', path)).toMatchObject({ code: 125, stderr: refused })
  expect(await box.launchctl('print', 'gui/424242')).toMatchObject({
    code: 112,
    stderr: 'Bad request.\nCould not find domain for user gui: 424242\n',
  })
})

test('a Mac without a desktop has user/501 and no gui/501', async () => {
  box.mac({ desktop: false })
  const path = box.agent('com.ssh', sleeper)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(125)
  expect((await box.launchctl('print', 'gui/501')).code).toBe(112)
  expect((await box.launchctl('managername')).stdout).toBe('Background\n')
  expect((await box.launchctl('print', 'user/501')).code).toBe(0)
  expect((await box.launchctl('bootstrap', 'user/501', path)).code).toBe(134)
  const both = box.agent('com.both', { ...sleeper, LimitLoadToSessionType: ['Aqua', 'Background'] })
  expect((await box.launchctl('bootstrap', 'user/501', both)).code).toBe(0)
  expect((await box.launchctl('list')).stdout).toContain('com.both')
})

test('an unknown label is 113 to print and kickstart, 3 to bootout; a malformed target is 64', async () => {
  const missing = 'Bad request.\nCould not find service "com.no" in domain for user gui: 501\n'
  expect(await box.launchctl('print', 'gui/501/com.no')).toMatchObject({ code: 113, stderr: missing })
  expect((await box.launchctl('kickstart', '-k', 'gui/501/com.no')).code).toBe(113)
  expect((await box.launchctl('kill', 'TERM', 'gui/501/com.no')).code).toBe(113)
  const gone = 'Boot-out failed: 3: No such process\n'
  expect(await box.launchctl('bootout', 'gui/501/com.no')).toMatchObject({ code: 3, stderr: gone })
  expect((await box.launchctl('print', 'nonsense')).stderr).toContain('Unrecognized target specifier.')
  expect(await box.launchctl('kickstart', 'com.no.bare')).toMatchObject({
    code: 64,
    stderr: 'Unrecognized target specifier, did you mean gui/501/com.no.bare\n',
  })
  box.mac({ launchd: { profile: '26' } })
  expect((await box.launchctl('print', 'gui/501/com.no')).stderr).toBe(missing.replace('Bad request.\n', ''))
})

test('a disabled label stays disabled through bootout, a lost plist and a restart, until it is enabled', async () => {
  expect((await box.launchctl('disable', 'gui/501/com.off')).code).toBe(0)
  const path = box.agent('com.off', sleeper)
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toMatchObject({ code: 5, stderr: ioError })
  box.mac({ launchd: { disabledCode: 119 } })
  const disabled = 'Bootstrap failed: 119: Service is disabled\n'
  expect(await box.launchctl('bootstrap', 'gui/501', path)).toMatchObject({ code: 119, stderr: disabled })
  rmSync(path)
  await box.restartDaemon()
  const said = (await box.launchctl('print-disabled', 'gui/501')).stdout
  expect(said).toContain('\tdisabled services = {\n\t\t"com.off" => disabled\n\t}\n')
  box.mac({ macos: '12.7' })
  expect((await box.launchctl('print-disabled', 'user/501')).stdout).toContain('"com.off" => true\n')
  await box.launchctl('enable', 'gui/501/com.off')
  box.mac({ macos: '26.5.1' })
  expect((await box.launchctl('print-disabled', 'gui/501')).stdout).toContain('"com.off" => enabled\n')
  expect((await box.launchctl('bootstrap', 'gui/501', box.agent('com.off', sleeper))).code).toBe(0)
})

test('a job switched off under Login Items is refused and unknown to print though its plist exists', async () => {
  box.mac({ launchd: { btmBlocked: ['com.blocked'] } })
  const path = box.agent('com.blocked', sleeper)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(5)
  await box.control({ control: 'login' })
  expect((await box.launchctl('print', 'gui/501/com.blocked')).code).toBe(113)
  expect(readFileSync(join(box.dir, 'run/launchd.log'), 'utf8')).toContain('161')
})

test('list shows pid, status and label; with a label an old-style property list with the raw status', async () => {
  const path = box.agent('com.fails', { ProgramArguments: ['/bin/sh', '-c', 'exit 3'], RunAtLoad: true })
  await box.launchctl('bootstrap', 'gui/501', path, box.agent('com.up', sleeper))
  const pid = await box.pid('com.up')
  await until('com.fails has exited', async () => (await box.launchctl('list')).stdout.includes('-\t3\tcom.fails\n'))
  expect((await box.launchctl('list')).stdout).toBe(`PID\tStatus\tLabel\n-\t3\tcom.fails\n${pid}\t0\tcom.up\n`)
  const one = (await box.launchctl('list', 'com.fails')).stdout
  expect(one).toContain('\t"LastExitStatus" = 768;\n\t"Program" = "/bin/sh";\n')
  expect(one).not.toContain('PID')
  expect((await box.launchctl('list', 'com.up')).stdout).toContain(`\t"PID" = ${pid};\n`)
  const missing = 'Could not find service "com.none" in domain for port\n'
  expect(await box.launchctl('list', 'com.none')).toMatchObject({ code: 113, stderr: missing })
})

test('the small verbs answer: error, getenv, setenv, unsetenv, managername, asuser', async () => {
  expect((await box.launchctl('error', '5')).stdout).toBe('5: Input/output error\n')
  expect((await box.launchctl('error', '119')).stdout).toBe('119: Service is disabled\n')
  await box.launchctl('setenv', 'OLLAMA_HOST', '0.0.0.0')
  expect((await box.launchctl('getenv', 'OLLAMA_HOST')).stdout).toBe('0.0.0.0\n')
  expect(JSON.parse(readFileSync(join(box.dir, 'mac.json'), 'utf8')).setenv).toEqual({ OLLAMA_HOST: '0.0.0.0' })
  await box.launchctl('unsetenv', 'OLLAMA_HOST')
  expect(await box.launchctl('getenv', 'OLLAMA_HOST')).toEqual({ code: 0, stdout: '', stderr: '' })
  expect((await box.launchctl('managername')).stdout).toBe('Aqua\n')
  expect((await box.launchctlWith({ SSH_TTY: '/dev/ttys000' }, 'managername')).stdout).toBe('Background\n')
  expect(await box.launchctl('asuser', '501', '/bin/sh', '-c', 'echo hi; exit 4')).toMatchObject({
    code: 4,
    stdout: 'hi\n',
  })
})

test('an unknown verb, a verb without its words and bad input to the socket are refused, and launchd lives on', async () => {
  const unknown = await box.launchctl('frobnicate')
  expect([unknown.code, unknown.stdout]).toEqual([64, ''])
  expect(unknown.stderr).toContain('Usage: launchctl')
  for (const verb of [
    'bootstrap',
    'bootout',
    'kickstart',
    'kill',
    'print',
    'enable',
    'load',
    'setenv',
    'constructor',
  ]) {
    expect((await box.launchctl(verb)).code).toBe(64)
  }
  await expect(box.control(JSON.parse('{"control":"explode"}'))).rejects.toThrow('unknown control')
  expect((await box.launchctl('managerpid')).stdout).toBe('1\n')
})

test('launchctl says so when no launchd answers', async () => {
  const other = await box.launchctlWith({ BOX: join(box.dir, 'elsewhere') }, 'list')
  expect(other.code).toBe(1)
  expect(other.stderr).toContain('no launchd answers')
})

test('the legacy verbs load and unload; with -w they also switch the label; a failing load exits 0', async () => {
  const path = box.agent('com.legacy', sleeper)
  expect((await box.launchctl('load', path)).code).toBe(0)
  await box.pid('com.legacy')
  const again = await box.launchctl('load', path)
  expect([again.code, again.stderr.split('\n')[0]]).toEqual([0, 'Load failed: 5: Input/output error'])
  await box.launchctl('unload', '-w', path)
  expect((await box.launchctl('print-disabled', 'gui/501')).stdout).toContain('"com.legacy" => disabled')
  await until('it is gone', async () => (await box.launchctl('print', 'gui/501/com.legacy')).code === 113)
  expect((await box.launchctl('load', '-w', path)).stderr).toBe('')
  await box.pid('com.legacy')
})

test('login loads enabled agents that are real files; logout ends them and takes the domain away', async () => {
  box.agent('com.l.real', sleeper)
  box.agent('com.l.off', sleeper)
  await box.launchctl('disable', 'gui/501/com.l.off')
  const elsewhere = join(box.home, 'linked.plist')
  writeFileSync(elsewhere, readFileSync(box.agent('com.l.linked', sleeper)))
  rmSync(join(box.home, 'Library/LaunchAgents/com.l.linked.plist'))
  symlinkSync(elsewhere, join(box.home, 'Library/LaunchAgents/com.l.linked.plist'))
  await box.control({ control: 'login' })
  const pid = await box.pid('com.l.real')
  expect((await box.launchctl('list')).stdout).not.toMatch(/com\.l\.(off|linked)/)
  await box.control({ control: 'logout' })
  expect(existsSync(`/proc/${pid}`)).toBe(false)
  expect((await box.launchctl('print', 'gui/501')).code).toBe(112)
  await box.control({ control: 'login' })
  expect(await box.pid('com.l.real')).not.toBe(pid)
})
