import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type Box, defaultMac, type MacState, macWith, openBox } from './box.ts'
import { type CommandBox, openCommandBox } from './command-box.ts'

let box: CommandBox
let clean: MacState
const servers: Server[] = []
beforeAll(async () => {
  box = await openCommandBox()
  clean = box.mac
})
beforeEach(() => box.save(clean))
afterAll(() => {
  for (const server of servers) server.close()
  box.close()
})

async function out(argv: string[], env?: Record<string, string | undefined>): Promise<string> {
  return (await box.run(argv, { env })).stdout
}

async function listening(host: string): Promise<number> {
  const server = createServer()
  servers.push(server)
  server.listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

test('eight savers at once lose no change', async () => {
  const code = 'for (let i = 0; i < 10; i += 1) box.save((mac) => { mac.cores += 1 })'
  const { build } = await import('esbuild')
  const outfile = join(box.dir, 'saver.mjs')
  const contents = `import { openBox } from './box.ts'\nconst box = openBox(process.env.BOX)\n${code}`
  const resolveDir = new URL('.', import.meta.url).pathname
  await build({ stdin: { contents, resolveDir, loader: 'ts' }, outfile, bundle: true, platform: 'node', format: 'esm' })
  const savers = Array.from({ length: 8 }, () => box.run([process.execPath, outfile], { env: { BOX: box.dir } }))
  expect((await Promise.all(savers)).map(({ code: exit }) => exit)).toEqual(Array(8).fill(0))
  expect(box.mac.cores).toBe(defaultMac().cores + 80)
})

test('a box without mac.json is a fresh Mac, and keys left out of it are a fresh Mac’s', () => {
  const folder = join(box.dir, 'other')
  const other: Box = openBox(folder)
  expect(other.mac).toEqual(defaultMac())
  writeFileSync(join(folder, 'mac.json'), '{"macos":"15.6","brew":{"latest":{"ollama":"9.9.9"}}}')
  expect(other.mac).toEqual(macWith({ macos: '15.6', brew: { latest: { ollama: '9.9.9' } } }))
  expect(other.mac.brew.latest.tailscale).toBe(defaultMac().brew.latest.tailscale)
})

test('it tells of itself as a Mac does', async () => {
  expect(await out(['sw_vers'])).toBe('ProductName:\t\tmacOS\nProductVersion:\t\t26.5.1\nBuildVersion:\t\t25F80\n')
  expect(await out(['sw_vers', '-productVersion'], { SYSTEM_VERSION_COMPAT: '1' })).toBe('16.0\n')
  expect(await out(['uname', '-srm'])).toBe('Darwin 25.5.0 arm64\n')
  expect(await out(['sysctl', '-n', 'hw.memsize', 'machdep.cpu.brand_string'])).toBe('68719476736\nApple M4 Max\n')
  expect(await out(['id', '-u'])).toBe('501\n')
  expect(await out(['id', '-un'])).toBe('ada\n')
  expect(await box.run(['sysctl', '-n', 'hw.nothing'])).toEqual({
    code: 1,
    stdout: '',
    stderr: "sysctl: unknown oid 'hw.nothing'\n",
  })
})

test('under Rosetta uname tells of another chip, except below arch -arm64', async () => {
  box.save({ translated: true })
  expect(await out(['uname', '-m'])).toBe('x86_64\n')
  expect(await out(['sysctl', '-n', 'sysctl.proc_translated', 'hw.optional.arm64'])).toBe('1\n1\n')
  expect(await out(['arch', '-arm64', 'uname', '-m'])).toBe('arm64\n')
})

test('lsof shows who listens in fields, and says nothing with 1 where nobody does', async () => {
  const port = await listening('127.0.0.1')
  const ask = (...words: string[]) => box.run(['lsof', '-nP', ...words, '-sTCP:LISTEN', '-Fpcutn'])
  const found = await ask(`-iTCP:${port}`)
  expect(found.stdout).toMatch(new RegExp(`^p${process.pid}\nc\\S+\nu501\nf\\d+\ntIPv4\nn127\\.0\\.0\\.1:${port}\n$`))
  expect((await ask('-iTCP')).stdout).toContain(found.stdout.split('\n').at(-2))
  expect((await ask('-a', '-p', String(process.pid), '-iTCP')).stdout).toContain(`n127.0.0.1:${port}\n`)
  box.save({ rootPorts: [port] })
  expect(await ask(`-iTCP:${port}`)).toEqual({ code: 1, stdout: '', stderr: '' })
})

test('a wildcard listener is a star in lsof and in netstat, which writes ports after a dot', async () => {
  const port = await listening('0.0.0.0')
  expect(await out(['lsof', '-nP', `-iTCP:${port}`, '-Fn'])).toContain(`n*:${port}\n`)
  const rows = (await out(['netstat', '-an', '-p', 'tcp', '-f', 'inet'])).split('\n')
  expect(rows[1]).toMatch(/^Proto Recv-Q Send-Q {2}Local Address +Foreign Address +\(state\)/)
  const row = rows.find((line) => line.includes(`*.${port} `))
  expect(row?.trim().split(/\s+/)).toEqual(['tcp4', '0', '0', `*.${port}`, '*.*', 'LISTEN'])
})

test('a stand-in Ollama is called ollama by lsof, ps and pgrep', async () => {
  box.save(({ brew }) => {
    brew.present = true
    brew.installed.ollama = '0.32.3'
  })
  await box.run([process.execPath, join(box.dir, 'standins.mjs'), 'box-place'], { env: { BOX: box.dir } })
  const program = join(box.mac.prefix, 'opt/ollama/bin/ollama')
  const port = await listening('127.0.0.1')
  servers.pop()?.close()
  const env = { PATH: box.path, HOME: box.home, OLLAMA_HOST: `127.0.0.1:${port}` }
  const server = spawn(program, ['serve'], { env, stdio: 'ignore' })
  try {
    await vi.waitUntil(async () => (await box.run(['lsof', '-nP', `-iTCP:${port}`])).code === 0, { timeout: 60_000 })
    expect(await out(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpcu'])).toMatch(/\ncollama\nu501\n/)
    expect(await out(['ps', '-o', 'args=', '-p', String(server.pid)])).toBe(`${program} serve\n`)
    expect(await out(['ps', '-o', 'user=', '-p', String(server.pid)])).toBe('ada\n')
    expect(await out(['pgrep', '-f', 'ollama serve'])).toBe(`${server.pid}\n`)
    const gone = once(server, 'exit')
    expect((await box.run(['killall', 'ollama'])).code).toBe(0)
    await gone
    expect((await box.run(['pgrep', '-x', 'ollama'])).code).toBe(1)
  } finally {
    server.kill('SIGKILL')
  }
})

test('ps lists processes with the columns asked for', async () => {
  const rows = (await out(['ps', '-axo', 'pid=,ppid=,user=,args='])).trim().split('\n')
  expect(rows.some((row) => row.trim().startsWith(`${process.pid} `))).toBe(true)
  expect(await out(['ps', '-o', 'pri=', '-p', String(process.pid)])).toMatch(/^\d+\n$/)
  expect(Date.parse(await out(['ps', '-o', 'lstart=', '-p', String(process.pid)]))).toBeLessThan(Date.now() + 1000)
  expect(await box.run(['ps', '-o', 'pid=', '-p', '4194303'])).toMatchObject({ code: 1, stdout: '' })
})

test('ifconfig shows the real addresses, and Tailscale’s on a utun only while it runs', async () => {
  const own = Object.values(networkInterfaces()).flatMap((infos = []) => infos.map(({ address }) => address))
  const text = await out(['ifconfig'])
  for (const address of own.filter((one) => !one.startsWith('100.'))) expect(text).toContain(` ${address}`)
  expect(text).toMatch(/^lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384\n/m)
  expect(text).not.toContain('utun')
  box.save(({ tailscale }) => {
    Object.assign(tailscale, { variant: 'standalone', state: 'Running', ipv4: '127.1.2.3', ipv6: '' })
  })
  box.save({ fakeAddresses: { lo0: ['127.0.0.1'], en0: ['192.168.1.5'] } })
  expect(await out(['ifconfig'])).toContain(
    'utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280\n\tinet 127.1.2.3 --> 127.1.2.3 netmask 0xffffffff\n',
  )
  box.save(({ tailscale }) => {
    tailscale.state = 'Stopped'
  })
  expect(await out(['ifconfig', 'utun4'])).toBe('utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280\n')
  expect((await box.run(['ifconfig', 'en7'])).code).toBe(1)
})

test('stat takes BSD formats and refuses GNU’s', async () => {
  const file = join(box.dir, 'a file')
  writeFileSync(file, 'four', { mode: 0o640 })
  expect(await out(['stat', '-f', '%Lp %Su %z %HT', file])).toBe('640 ada 4 Regular File\n')
  expect(await out(['stat', '-f', '%Su', '/dev/console'])).toBe('ada\n')
  box.save({ desktop: false })
  expect(await out(['stat', '-f', '%Su', '/dev/console'])).toBe('root\n')
  expect((await box.run(['stat', '-c', '%a', file])).stderr).toContain('illegal option')
  expect((await box.run(['stat', '-f', '%z', '/nowhere'])).stderr).toBe(
    'stat: /nowhere: lstat: No such file or directory\n',
  )
})

test('plutil lints and converts property lists', async () => {
  const good = join(box.dir, 'good.plist')
  const bad = join(box.dir, 'bad.plist')
  writeFileSync(
    good,
    '<?xml version="1.0"?>\n<plist version="1.0"><dict><key>A</key><array><integer>1</integer></array></dict></plist>',
  )
  writeFileSync(bad, '<plist><dict><key>A</key></plist>')
  expect(await box.run(['plutil', '-lint', good])).toMatchObject({ code: 0, stdout: `${good}: OK\n` })
  expect((await box.run(['plutil', '-lint', bad])).code).toBe(1)
  expect(JSON.parse(await out(['plutil', '-convert', 'json', '-o', '-', good]))).toEqual({ A: [1] })
})

test('pmset shows sections and is changed by root alone', async () => {
  expect(await out(['pmset', '-g', 'custom'])).toMatch(/^AC Power:\n Sleep On Power Button 1\n autorestart {10}0\n/)
  expect((await box.run(['pmset', '-a', 'sleep', '0'])).code).toBe(1)
  expect((await box.run(['sudo', '-n', 'pmset', '-a', 'sleep', '0', 'womp', '0'])).code).toBe(0)
  expect(box.mac.pmset.ac).toMatchObject({ sleep: 0, womp: 0, displaysleep: 10 })
})

test('sudo asks, refuses or passes as the Mac is set, and notes what it was asked', async () => {
  expect(await out(['sudo', 'id', '-un'])).toBe('root\n')
  box.save(({ sudo }) => {
    sudo.mode = 'password'
  })
  expect(await box.run(['sudo', '-n', 'true'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'sudo: a password is required\n',
  })
  expect((await box.run(['sudo', '-S', 'true'], { input: 'wrong\n' })).code).toBe(1)
  expect((await box.run(['sudo', '-S', 'true'], { input: 'secret\n' })).code).toBe(0)
  expect((await box.run(['sudo', '-n', 'true'])).code).toBe(0)
  expect(readFileSync(join(box.dir, 'sudo.log'), 'utf8')).toContain('id -un\n')
})

test('FileVault, the login user and the firewall are what mac.json says', async () => {
  expect(await out(['fdesetup', 'status'])).toBe('FileVault is Off.\n')
  const login = ['defaults', 'read', '/Library/Preferences/com.apple.loginwindow', 'autoLoginUser']
  expect((await box.run(login)).stderr).toMatch(
    /The domain\/default pair of \(\/Library.*, autoLoginUser\) does not exist\n$/,
  )
  box.save({ autoLoginUser: 'ada', fileVault: true })
  expect(await out(login)).toBe('ada\n')
  expect(await out(['fdesetup', 'status'])).toBe('FileVault is On.\n')
  expect(await out(['socketfilterfw', '--getglobalstate'])).toBe('Firewall is disabled. (State = 0)\n')
  await box.run(['sudo', 'socketfilterfw', '--add', '/bin/sh'])
  expect(await out(['socketfilterfw', '--getappblocked', '/bin/sh'])).toContain('permitted')
})

test('caffeinate lasts as long as the process that it waits for', async () => {
  const other = spawn('sleep', ['30'])
  const waiting = box.run(['caffeinate', '-s', '-w', String(other.pid)])
  other.kill()
  expect((await waiting).code).toBe(0)
})

test('open notes its words, and finds no app that is not installed', async () => {
  expect((await box.run(['open', 'https://example.com/x'])).code).toBe(0)
  expect(await box.run(['open', '-a', 'Tailscale'])).toMatchObject({
    code: 1,
    stderr: "Unable to find application named 'Tailscale'\n",
  })
  expect(readFileSync(join(box.dir, 'opened.log'), 'utf8')).toContain('https://example.com/x\n-a Tailscale\n')
})

test('Homebrew comes by its own installer, which never asks for a password without a terminal', async () => {
  const script = join(box.dir, 'install.sh')
  const address = 'https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh'
  expect((await box.run(['curl', '-fsSL', '-o', script, address])).code).toBe(0)
  box.save(({ sudo }) => {
    sudo.mode = 'password'
  })
  const refused = await box.run(['arch', '-arm64', '/bin/bash', script])
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('Need sudo access on macOS')])
  box.save(({ sudo }) => {
    sudo.mode = 'allowed'
  })
  expect((await box.run(['arch', '-arm64', '/bin/bash', script])).code).toBe(0)
  expect(await out(['brew', '--prefix'])).toBe(`${box.mac.prefix}\n`)
})

async function withBrew(differences: object = {}): Promise<void> {
  box.save(macWith({ ...clean, brew: { present: true, ...differences } }))
  await box.run([process.execPath, join(box.dir, 'standins.mjs'), 'box-place'], { env: { BOX: box.dir } })
}

test('brew install pours into the Cellar and links, a second time only warns', async () => {
  await withBrew()
  expect(await box.run(['brew', 'list', '--versions', 'ollama'])).toEqual({ code: 1, stdout: '', stderr: '' })
  expect((await box.run(['brew', 'install', '--formula', 'ollama'])).code).toBe(0)
  expect(await out(['brew', 'list', '--versions', 'ollama'])).toBe('ollama 0.32.3\n')
  const { prefix } = box.mac
  expect(realpathSync(join(prefix, 'bin/ollama'))).toBe(join(prefix, 'Cellar/ollama/0.32.3/bin/ollama'))
  expect(readFileSync(join(box.dir, 'ollama-version'), 'utf8')).toBe('0.32.3\n')
  const again = await box.run(['brew', 'install', 'ollama'])
  expect([again.code, again.stderr]).toEqual([
    0,
    expect.stringContaining('ollama 0.32.3 is already installed and up-to-date.'),
  ])
  expect((await box.run(['brew', 'uninstall', 'ollama'])).code).toBe(0)
  expect(existsSync(join(prefix, 'opt/ollama'))).toBe(false)
})

test('brew install upgrades an outdated package unless it is told not to', async () => {
  await withBrew({ installed: { ollama: '0.20.0' } })
  await box.run(['brew', 'install', 'ollama'], { env: { HOMEBREW_NO_INSTALL_UPGRADE: '1' } })
  expect(await out(['brew', 'list', '--versions', 'ollama'])).toBe('ollama 0.20.0\n')
  expect(JSON.parse(await out(['brew', 'outdated', '--json=v2'])).formulae[0]).toMatchObject({
    name: 'ollama',
    current_version: '0.32.3',
  })
  await box.run(['brew', 'install', 'ollama'])
  expect(readlinkSync(join(box.mac.prefix, 'opt/ollama'))).toBe('../Cellar/ollama/0.32.3')
  expect(readdirSync(join(box.mac.prefix, 'Cellar/ollama'))).toEqual(['0.32.3'])
})

test('brew fails without a network, and as it is told to', async () => {
  await withBrew({ network: false })
  const lost = await box.run(['brew', 'install', 'ollama'])
  expect([lost.code, lost.stderr]).toEqual([
    1,
    expect.stringMatching(/Failed to download resource "ollama"\nDownload failed: https:/),
  ])
  await withBrew({
    fail: { verb: 'install', name: 'ollama', stderr: 'Error: process has already locked', code: 1, times: 1 },
  })
  expect((await box.run(['brew', 'install', 'ollama'])).stderr).toBe('Error: process has already locked\n')
  expect((await box.run(['brew', 'install', 'ollama'])).code).toBe(0)
})

test('the Tailscale cask brings an app whose program answers', async () => {
  await withBrew()
  expect((await box.run(['brew', 'install', '--cask', 'tailscale-app'])).code).toBe(0)
  const program = join(box.mac.applications, 'Tailscale.app/Contents/MacOS/Tailscale')
  expect(JSON.parse(await out([program, 'status', '--json']))).toMatchObject({ BackendState: 'NeedsLogin' })
  expect(box.mac.tailscale).toMatchObject({ variant: 'standalone', state: 'NeedsLogin' })
})

test('an installed HAProxy is a real program that finds its libraries by itself and starts itself anew by its own path', async () => {
  const real = '/bin/cat'
  await withBrew({
    haproxyBinaries: { '3.2.1': real },
    libraryPath: mkdirSync(join(box.dir, 'libs'), { recursive: true }) ?? '',
  })
  writeFileSync(join(box.dir, 'libs/libnothing.so.1'), '')
  expect((await box.run(['brew', 'install', 'haproxy'])).code).toBe(0)
  const program = join(box.mac.prefix, 'opt/haproxy/bin/haproxy')
  expect(readFileSync(program).subarray(0, 4).toString('latin1')).toBe('\x7fELF')
  expect((await box.run([program], { input: 'still runs' })).stdout).toBe('still runs')
  expect(readFileSync(program).includes('$ORIGIN/lib\0')).toBe(true)
  expect(existsSync(join(box.mac.prefix, 'opt/haproxy/bin/lib/libnothing.so.1'))).toBe(true)
})

test('Ollama.app ends the server that holds its port and takes the port; its own server ends with it', async () => {
  box.save(
    macWith({ ...clean, brew: { present: true, installed: { ollama: '0.32.3' } }, ollamaApp: { installed: true } }),
  )
  await box.run([process.execPath, join(box.dir, 'standins.mjs'), 'box-place'], { env: { BOX: box.dir } })
  const port = await listening('127.0.0.1')
  servers.pop()?.close()
  const env = { PATH: box.path, HOME: box.home, OLLAMA_HOST: `127.0.0.1:${port}` }
  const holder = () => out(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'])
  const ours = spawn(join(box.mac.prefix, 'bin/ollama'), ['serve'], { env, stdio: 'ignore' })
  const gone = once(ours, 'exit')
  await vi.waitUntil(async () => (await holder()) !== '', { timeout: 60_000 })
  const app = spawn(join(box.mac.applications, 'Ollama.app/Contents/MacOS/Ollama'), [], { env, stdio: 'ignore' })
  const quit = once(app, 'exit')
  try {
    await gone
    await vi.waitUntil(async () => (await holder()) !== '', { timeout: 60_000 })
    expect(await holder()).not.toBe(`${ours.pid}\n`)
    expect((await box.run(['osascript', '-e', 'quit app "Ollama"'])).code).toBe(0)
    await quit
    expect(await holder()).toBe('')
  } finally {
    for (const child of [ours, app]) child.kill('SIGTERM')
  }
})
