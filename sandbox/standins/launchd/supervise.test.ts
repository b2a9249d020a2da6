import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** A program that ignores SIGTERM, and says that it does. */
function stubborn(ready: string) {
  const program = ['/bin/sh', '-c', `trap "" TERM; echo up >${ready}; while :; do sleep 0.05; done`]
  return { ProgramArguments: program, RunAtLoad: true }
}

function script(text: string) {
  return { ProgramArguments: ['/bin/sh', '-c', text], RunAtLoad: true }
}

async function bootstrap(label: string, keys: Parameters<TestBox['agent']>[1]): Promise<string> {
  const path = box.agent(label, keys)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).stderr).toBe('')
  return path
}

async function shown(label: string, name: string): Promise<string | undefined> {
  return field((await box.launchctl('print', `gui/501/${label}`)).stdout, name)
}

async function isGone(label: string): Promise<boolean> {
  return (await box.launchctl('print', `gui/501/${label}`)).code === 113
}

test('bootout returns at once; until the process is dead the label stays, and bootstrap fails with 5', async () => {
  const ready = join(box.dir, 'ready')
  const path = await bootstrap('com.slow', { ...stubborn(ready), ExitTimeOut: 60 })
  const pid = await box.pid('com.slow')
  await until('it ignores SIGTERM', () => existsSync(ready))
  expect(await box.launchctl('bootout', 'gui/501/com.slow')).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await box.state('com.slow')).toBe('SIGTERMed')
  expect(isAlive(pid)).toBe(true)
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(5)
  expect((await box.launchctl('kill', 'KILL', 'gui/501/com.slow')).code).toBe(0)
  await until('it is gone', () => isGone('com.slow'))
  expect((await box.launchctl('bootstrap', 'gui/501', path)).code).toBe(0)
})

test('a job that outlives its exit timeout after a bootout is killed', async () => {
  const ready = join(box.dir, 'ready')
  await bootstrap('com.killed', { ...stubborn(ready), ExitTimeOut: 1 })
  const pid = await box.pid('com.killed')
  await until('it ignores SIGTERM', () => existsSync(ready))
  const started = Date.now()
  await box.launchctl('bootout', 'gui/501/com.killed')
  await until('it is gone', () => isGone('com.killed'))
  expect(Date.now() - started).toBeGreaterThanOrEqual(1000)
  expect(isAlive(pid)).toBe(false)
})

test('bootout by domain and path works, also when the file is gone', async () => {
  const path = await bootstrap('com.bypath', sleeper)
  rmSync(path)
  expect((await box.launchctl('bootout', 'gui/501', path)).code).toBe(0)
  await until('it is gone', () => isGone('com.bypath'))
})

test('bootout --wait is refused by macOS 15, which stops nothing, and waits on 26', async () => {
  await bootstrap('com.wait', sleeper)
  const pid = await box.pid('com.wait')
  expect((await box.launchctl('bootout', '--wait', 'gui/501/com.wait')).code).toBe(64)
  expect(isAlive(pid)).toBe(true)
  box.mac({ macos: '26.5.1' })
  expect((await box.launchctl('bootout', '--wait', 'gui/501/com.wait')).code).toBe(0)
  expect(isAlive(pid)).toBe(false)
  expect(await isGone('com.wait')).toBe(true)
})

test('a KeepAlive job that ended early waits for its throttle, and kickstart does not shorten that', async () => {
  box.mac({ launchd: { throttleMs: 60_000 } })
  await bootstrap('com.keep', { ...sleeper, KeepAlive: true })
  process.kill(await box.pid('com.keep'), 'SIGKILL')
  await until('the respawn is put off', async () => (await box.state('com.keep')) === 'spawn scheduled')
  expect(await shown('com.keep', 'last terminating signal')).toBe('Killed: 9')
  expect(await shown('com.keep', 'last exit code')).toBeUndefined()
  expect((await box.launchctl('list')).stdout).toContain('-\t-9\tcom.keep\n')
  expect(await box.launchctl('kickstart', 'gui/501/com.keep')).toEqual({ code: 37, stdout: '', stderr: '' })
  expect((await box.launchctl('kickstart', '-k', 'gui/501/com.keep')).code).toBe(37)
  expect(await shown('com.keep', 'runs')).toBe('1')
})

test('a KeepAlive job comes back, not before its throttle has passed, and its runs are counted', async () => {
  box.mac({ launchd: { throttleMs: 1000 } })
  const started = Date.now()
  await bootstrap('com.back', { ...sleeper, KeepAlive: true })
  const pid = await box.pid('com.back')
  process.kill(pid, 'SIGKILL')
  await until('the old process is dead', () => !isAlive(pid))
  expect(await box.pid('com.back')).not.toBe(pid)
  expect(Date.now() - started).toBeGreaterThanOrEqual(1000)
  expect(await shown('com.back', 'runs')).toBe('2')
})

test('KeepAlive conditions: SuccessfulExit false restarts failures only, Crashed true restarts signals only', async () => {
  await bootstrap('com.failing', { ...script('exit 1'), KeepAlive: { SuccessfulExit: false } })
  await bootstrap('com.fine', { ...script('exit 0'), KeepAlive: { SuccessfulExit: false } })
  await bootstrap('com.crash', { ...script('kill -SEGV $$'), KeepAlive: { Crashed: true } })
  await bootstrap('com.nocrash', { ...script('exit 1'), KeepAlive: { Crashed: true } })
  const runs = async (label: string) => Number(await shown(label, 'runs'))
  await until('both came back', async () => (await runs('com.failing')) > 1 && (await runs('com.crash')) > 1)
  expect([await runs('com.fine'), await runs('com.nocrash')]).toEqual([1, 1])
  expect([await box.state('com.fine'), await shown('com.fine', 'last exit code')]).toEqual(['not running', '0'])
  expect(await shown('com.crash', 'last terminating signal')).toBe('Segmentation fault: 11')
})

test('kickstart -k replaces the process without the label ever being gone; -p prints the new pid', async () => {
  await bootstrap('com.kick', sleeper)
  const pid = await box.pid('com.kick')
  expect(await box.launchctl('kickstart', 'gui/501/com.kick')).toEqual({ code: 0, stdout: '', stderr: '' })
  expect((await box.launchctl('kickstart', '-p', 'gui/501/com.kick')).stdout).toBe(`${pid}\n`)
  const printed = await box.launchctl('kickstart', '-kp', 'gui/501/com.kick')
  expect(Number(printed.stdout)).toBe(await box.pid('com.kick'))
  expect(Number(printed.stdout)).not.toBe(pid)
  expect(isAlive(pid)).toBe(false)
  expect(await shown('com.kick', 'runs')).toBe('2')
  expect(await shown('com.kick', 'last terminating signal')).toBe('Terminated: 15')
})

test('a job without RunAtLoad waits for kickstart', async () => {
  await bootstrap('com.demand', { ProgramArguments: ['/bin/sleep', '600'] })
  expect(await box.state('com.demand')).toBe('not running')
  expect(await box.launchctl('kill', 'TERM', 'gui/501/com.demand')).toMatchObject({
    code: 3,
    stderr: 'No process to signal.\n',
  })
  expect((await box.launchctl('kickstart', '-p', 'gui/501/com.demand')).stdout).toMatch(/^\d+\n$/)
})

test('kill sends a signal by name with or without SIG, or by the number that it has on macOS', async () => {
  const log = join(box.dir, 'signals')
  await bootstrap('com.sig', script(`trap 'echo two >>${log}' USR2; echo up >${log}; while :; do sleep 0.02; done`))
  const lines = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  await until('the trap is set', () => lines().length === 1)
  for (const [count, name] of ['SIGUSR2', 'usr2', '31'].entries()) {
    expect(await box.launchctl('kill', name, 'gui/501/com.sig')).toEqual({ code: 0, stdout: '', stderr: '' })
    await until(`${name} has arrived`, () => lines().length === count + 2)
  }
  expect(await box.launchctl('kill', 'SIGFOO', 'gui/501/com.sig')).toMatchObject({ code: 64 })
})

test('stop and start take a bare label; a KeepAlive job that is stopped comes straight back', async () => {
  await bootstrap('com.stop', { ...sleeper, KeepAlive: true })
  const pid = await box.pid('com.stop')
  expect((await box.launchctl('stop', 'gui/501/com.stop')).code).toBe(3)
  expect((await box.launchctl('stop', 'com.stop')).code).toBe(0)
  await until('the old process is dead', () => !isAlive(pid))
  expect(await box.pid('com.stop')).not.toBe(pid)
})

test('what is left of the process group ends with the job, unless the plist abandons it', async () => {
  const child = (name: string) => `sleep 600 & echo $! >${join(box.dir, name)}; exit 0`
  await bootstrap('com.group', script(child('group')))
  await bootstrap('com.abandon', { ...script(child('abandon')), AbandonProcessGroup: true })
  const pidIn = (name: string) => Number(readFileSync(join(box.dir, name), 'utf8'))
  await until('both are done', async () => {
    return (
      (await shown('com.group', 'last exit code')) === '0' && (await shown('com.abandon', 'last exit code')) === '0'
    )
  })
  await until('the group is ended', () => !isAlive(pidIn('group')))
  // The job starts again with the desktop, and writes down another.
  const abandoned = pidIn('abandon')
  expect(isAlive(abandoned)).toBe(true)
  await box.control({ control: 'reboot' })
  await until('the reboot ended the rest', () => !isAlive(abandoned))
})

test('a job gets the session, launchd and plist environment, the null device, 256 files, umask and folder', async () => {
  const out = join(box.home, 'Library/Logs/new/out.log')
  await box.launchctl('setenv', 'FROM_SESSION', 'session', 'BOTH', 'session')
  const text = 'env; ulimit -Sn; umask; pwd; readlink /proc/$$/fd/0; echo done'
  const keys = { StandardOutPath: out, WorkingDirectory: '/usr', EnvironmentVariables: { BOTH: 'plist' } }
  await bootstrap('com.env', { ...script(text), ...keys })
  await until('it has run', () => existsSync(out) && readFileSync(out, 'utf8').includes('done'))
  const lines = readFileSync(out, 'utf8').split('\n')
  const expected = [
    `PATH=${box.dir}/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    'FROM_SESSION=session',
    'BOTH=plist',
    'XPC_SERVICE_NAME=com.env',
    `HOME=${box.home}`,
    'USER=ada',
    'LOGNAME=ada',
    'SHELL=/bin/zsh',
    '256',
    '0022',
    '/usr',
    '/dev/null',
  ]
  expect(lines).toEqual(expect.arrayContaining(expected))
  expect(lines.filter((line) => line.startsWith('BOX='))).toEqual([])
  expect(statSync(out).mode & 0o777).toBe(0o644)
  expect(statSync(join(out, '..')).mode & 0o777).toBe(0o744)
})

test('limits and umask from the plist hold, logs are appended to, and a relative log lies in the working directory', async () => {
  const keys = { SoftResourceLimits: { NumberOfFiles: 1024 }, Umask: 0o77, WorkingDirectory: box.home }
  await bootstrap('com.lim', { ...script('ulimit -Sn; umask; echo end'), ...keys, StandardOutPath: 'out.log' })
  const text = () => (existsSync(join(box.home, 'out.log')) ? readFileSync(join(box.home, 'out.log'), 'utf8') : '')
  await until('it has run', () => text() === '1024\n0077\nend\n')
  await box.launchctl('kickstart', 'gui/501/com.lim')
  await until('it has run again', () => text() === '1024\n0077\nend\n'.repeat(2))
})

test('a job whose log, program or folder is missing is not spawned and exits with 78', async () => {
  mkdirSync(join(box.dir, 'a-folder'))
  await bootstrap('com.nolog', { ...sleeper, StandardOutPath: join(box.dir, 'a-folder') })
  await bootstrap('com.noprogram', { ...sleeper, ProgramArguments: ['/opt/none/ollama'], KeepAlive: true })
  await bootstrap('com.nofolder', { ...sleeper, WorkingDirectory: '/no/such/folder' })
  for (const label of ['com.nolog', 'com.noprogram', 'com.nofolder']) {
    await until(`${label} failed`, async () => (await shown(label, 'last exit code')) === '78: EX_CONFIG')
  }
  await until('the kept job is tried again', async () => Number(await shown('com.noprogram', 'runs')) > 1)
  expect(await shown('com.noprogram', 'pid')).toBeUndefined()
})

test('a log is followed by two writers: the running process keeps its descriptor after a kickstart -k', async () => {
  const out = join(box.home, 'two.log')
  await bootstrap('com.two', { ...script('echo start; exec sleep 600'), StandardOutPath: out })
  await box.pid('com.two')
  await box.launchctl('kickstart', '-kp', 'gui/501/com.two')
  await until('both starts are logged', () => readFileSync(out, 'utf8') === 'start\nstart\n')
})

test('a reboot ends every job, forgets setenv and starts the agents again', async () => {
  await bootstrap('com.boot', sleeper)
  const pid = await box.pid('com.boot')
  await box.launchctl('setenv', 'A', 'b')
  await box.control({ control: 'reboot' })
  expect(isAlive(pid)).toBe(false)
  expect(await box.pid('com.boot')).not.toBe(pid)
  expect((await box.launchctl('getenv', 'A')).stdout).toBe('')
  await box.control({ control: 'logout' })
  await box.control({ control: 'reboot' })
  expect((await box.launchctl('print', 'gui/501')).code).toBe(112)
  box.mac({ autoLoginUser: 'ada' })
  await box.control({ control: 'reboot' })
  await box.pid('com.boot')
})

test('logout sends SIGKILL to what does not end within its exit timeout', async () => {
  const ready = join(box.dir, 'ready')
  await bootstrap('com.out', { ...stubborn(ready), ExitTimeOut: 1 })
  const pid = await box.pid('com.out')
  await until('it ignores SIGTERM', () => existsSync(ready))
  await box.control({ control: 'logout' })
  expect(isAlive(pid)).toBe(false)
})

test('closing the box ends its jobs, at the latest after three seconds', async () => {
  const ready = join(box.dir, 'ready')
  await bootstrap('com.end', { ...stubborn(ready), ExitTimeOut: 60 })
  const pid = await box.pid('com.end')
  await until('it ignores SIGTERM', () => existsSync(ready))
  await box.restartDaemon()
  expect(isAlive(pid)).toBe(false)
  await until('the agent is loaded at the new start', async () => (await box.pid('com.end')) !== pid)
  await box.launchctl('kill', 'KILL', 'gui/501/com.end')
})
