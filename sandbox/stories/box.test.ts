import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { Socket } from 'node:net'
import { homedir, networkInterfaces, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Box, type BoxOptions, createBox, differences, type Machine, namespaces } from '../box/box.ts'
import { checkout, node, usualPaths } from '../box/paths.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : ''

const open: Box[] = []

async function make(options: BoxOptions = {}): Promise<Box> {
  const box = await createBox({ haproxy: false, ...options })
  open.push(box)
  return box
}

const joined = { tailscale: { variant: 'standalone', state: 'Running', joined: true } }

afterEach(async () => {
  for (const box of open.splice(0)) await box.close()
})

/** Every process on this machine that has the box's folder in its command line or environment. */
function processesOf(dir: string): string[] {
  const text = (pid: string, name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'latin1')
    } catch {
      return ''
    }
  }
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  return pids.filter((pid) => `${text(pid, 'cmdline')}${text(pid, 'environ')}`.includes(dir))
}

/** Says who comes, answers a half-close, and goes without a word on `reset`, with bytes unread: that is a RST. */
const server = `
const { createServer } = require('node:net')
createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', (error) => console.log(error.code))
  socket.on('end', () => socket.end('goodbye'))
  socket.on('data', (text) => String(text) === 'reset' && socket.resetAndDestroy())
  socket.write('from ' + socket.remoteAddress + ' ')
}).listen(Number(process.argv[2]), process.argv[1], () => console.log('listens'))`

async function listen(box: Box, host: string, port: number) {
  const running = box.start([node, '-e', server, host, String(port)])
  await running.expect('listens')
  return running
}

/** Everything the socket says, up to its end; the error when it breaks. */
async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (piece) => {
    text += piece
  })
  await once(socket, 'end')
  return text
}

async function greeting(box: Box, from: Machine, host: string): Promise<string> {
  const socket = await box.dial(from, host, 8123)
  socket.end()
  return readAll(socket)
}

describe.skipIf(why !== '')(`a box with namespaces${why && ` (skipped: ${why})`}`, () => {
  test('is there with a Mac, a user of its own and a login', async () => {
    const box = await make()
    const said = await box.run(['/bin/sh', '-c', 'sw_vers -productName; echo $HOME; launchctl managername'])
    expect(said).toEqual({ code: 0, stdout: 'macOS\n/Users/ada\nAqua\n', stderr: '' })
    const user = await box.run([node, '-p', '[process.getuid(), os.userInfo().username, os.hostname()].join(" ")'])
    expect(user.stdout).toMatch(/^(501|0) ada studio$/m)
  })

  test('keeps to itself what is written to /tmp, /Applications and HOME', async () => {
    const box = await make()
    const name = `box-story-${process.pid}`
    await box.run(['/bin/sh', '-c', `for folder in /tmp /Applications ~; do echo x >$folder/${name} || exit 1; done`])
    for (const folder of ['/tmp', '/Applications', '/Users/ada']) {
      expect(existsSync(join(folder, name))).toBe(false)
      expect(box.read(join(folder, name))).toBe('x\n')
    }
  })

  test('cannot write to the system or the checkout, and does not see the homes outside', async () => {
    const box = await make()
    for (const path of ['/usr/bin/x', '/etc/x', join(checkout, 'x')]) {
      expect(await box.run(['/bin/sh', '-c', `echo x >'${path}'`])).toMatchObject({ code: 2 })
      expect(existsSync(path)).toBe(false)
    }
    const seen = (await box.run(['ls', '-A', homedir()])).stdout.split('\n').filter(Boolean)
    const needed = usualPaths().map((path) => relative(homedir(), path).split('/')[0])
    expect(seen.filter((name) => !needed.includes(name))).toEqual([])
  })

  test('runs what is called by its absolute place on a Mac', async () => {
    const box = await make()
    expect((await box.run(['/usr/bin/sw_vers', '-productVersion'])).stdout).toBe('26.5.1\n')
    expect((await box.run(['/bin/launchctl', 'managername'])).stdout).toBe('Aqua\n')
  })

  test('leaves the mounts and addresses of the outside as they were', async () => {
    const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8')
    const before = mounts()
    const box = await make({ mac: joined })
    expect(mounts()).toBe(before)
    expect((await box.run(['ifconfig'])).stdout).toContain('inet 100.64.0.1 -->')
    const outside = Object.values(networkInterfaces()).flatMap((infos = []) => infos.map(({ address }) => address))
    expect(outside).not.toContain('100.64.0.1')
  })

  test('is reached on the tailnet address by its tailnet peer and by a neighbour on the LAN', async () => {
    const box = await make({ mac: joined })
    await listen(box, '100.64.0.1', 8123)
    expect(await greeting(box, 'mac', '100.64.0.1')).toBe('from 100.64.0.1 goodbye')
    expect(await greeting(box, 'laptop', '100.64.0.1')).toBe('from 100.64.0.7 goodbye')
    expect(await greeting(box, 'neighbour', '100.64.0.1')).toBe('from 192.168.78.2 goodbye')
    await expect(box.dial('neighbour', '192.168.78.1', 8123)).rejects.toThrow('ECONNREFUSED')
    await expect(box.dial('laptop', '127.0.0.1', 8123)).rejects.toThrow('ECONNREFUSED')
  })

  test('is reached over IPv6 on the tailnet', async () => {
    const box = await make({ mac: joined })
    await listen(box, 'fd7a:115c:a1e0::1', 8123)
    expect(await greeting(box, 'laptop', 'fd7a:115c:a1e0::1')).toBe('from fd7a:115c:a1e0::7 goodbye')
  })

  test('carries a reset through, in both directions', async () => {
    const box = await make({ mac: joined })
    const running = await listen(box, '100.64.0.1', 8123)
    const socket = await box.dial('laptop', '100.64.0.1', 8123)
    socket.resetAndDestroy()
    await running.expect('ECONNRESET')
    const second = await box.dial('laptop', '100.64.0.1', 8123)
    const broken = once(second, 'error').catch((error) => [error])
    // Node sends a FIN before its RST; who then goes on writing learns of the RST.
    second.on('end', () => second.write('more'))
    second.on('data', () => {})
    second.write('reset')
    expect(await broken).toMatchObject([{ code: expect.stringMatching(/ECONNRESET|EPIPE/) }])
  })

  test('runs a client on the laptop, with the same files and another network', async () => {
    const box = await make({ mac: joined })
    await listen(box, '100.64.0.1', 8123)
    const client = `require('node:net').connect(8123, 'studio.tail0lab.ts.net').on('data', (text) => { console.log(String(text)); process.exit() })`
    expect((await box.run([node, '-e', client], { on: 'laptop' })).stdout).toBe('from 100.64.0.7 \n')
  })

  test('does not see another box', async () => {
    const [one, two] = await Promise.all([make({ mac: joined }), make({ mac: joined })])
    await listen(one, '100.64.0.1', 8123)
    await expect(two.dial('laptop', '100.64.0.1', 8123)).rejects.toThrow('ECONNREFUSED')
    await one.run(['/bin/sh', '-c', 'echo x >/tmp/mine'])
    expect(two.exists('/tmp/mine')).toBe(false)
    expect((await two.run(['/bin/sh', '-c', 'cat /proc/[0-9]*/cmdline'])).stdout).not.toContain('listens')
  })

  test('takes the tailnet address away and brings it back after a reboot, later than the login', async () => {
    const box = await make({ mac: joined })
    const left = await listen(box, '100.64.0.1', 8123)
    await box.run(['/bin/sh', '-c', 'launchctl setenv A 1; echo x >/tmp/x; echo x >~/x'])
    await box.reboot({ addressAfterMs: 300 })
    await left.done
    expect([box.exists('/tmp/x'), box.exists('x')]).toEqual([false, true])
    expect((await box.run(['launchctl', 'getenv', 'A'])).stdout).toBe('')
    await expect.poll(async () => (await box.run(['ifconfig'])).stdout, { timeout: 20_000 }).toContain('100.64.0.1')
  })

  test('empties /tmp at a reboot, but for what is shown there of this machine, such as a checkout', async () => {
    const folder = mkdtempSync('/tmp/shown-')
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const program = join(folder, 'deep/bin/ollama')
    mkdirSync(dirname(program), { recursive: true })
    writeFileSync(program, '#!/bin/sh\necho still here\n', { mode: 0o755 })
    const box = await make({ ollama: program })
    await box.run(['/bin/sh', '-c', `echo x >${folder}/deep/x; echo x >/tmp/x`])
    await box.reboot()
    expect((await box.run([program])).stdout).toBe('still here\n')
    expect((await box.run(['/bin/sh', '-c', `echo x >/tmp/y; ls ${folder}/deep /tmp`])).stdout).not.toMatch(/^x$/m)
    expect(existsSync(program)).toBe(true)
  })
})

const kinds: [string, BoxOptions][] = [['a plain box', { namespaces: false }]]
if (why === '') kinds.push(['a box with namespaces', {}])

describe.each(kinds)('%s', (_kind, options) => {
  test("tells a command's output, exit code and signal, and ends it when its time is over", async () => {
    const box = await make(options)
    const say = ['/bin/sh', '-c', 'read line; echo "$line"; echo wrong >&2; exit 3']
    expect(await box.run(say, { input: 'hello\n' })).toEqual({ code: 3, stdout: 'hello\n', stderr: 'wrong\n' })
    expect((await box.run(['/bin/sh', '-c', 'kill -9 $$'])).code).toBe(137)
    expect(await box.run(['sleep', '1000'], { timeoutMs: 100 })).toMatchObject({ code: 124 })
  })

  test('lets a signal reach the command, which may end in its own way', async () => {
    const box = await make(options)
    const running = box.start([
      node,
      '-e',
      'process.on("SIGINT", () => process.exit(5)); setInterval(() => {}, 1000); console.log("up")',
    ])
    await running.expect('up')
    running.kill('SIGINT')
    expect((await running.done).code).toBe(5)
  })

  test('gives a command a real terminal', async () => {
    const box = await make(options)
    const running = box.start(['/bin/sh', '-c', 'test -t 0 && stty size; read line; echo "got $line"; exit 4'], {
      tty: true,
    })
    await running.expect('40 120')
    running.write('hello\n')
    await running.expect(/got hel+o/)
    expect((await running.done).code).toBe(4)
  })

  test('runs a launchd job, which ends at logout', async () => {
    const box = await make(options)
    const plist = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Label</key><string>story</string>
      <key>ProgramArguments</key><array><string>/bin/sh</string><string>-c</string><string>echo up >"$HOME/job"; exec sleep 1000</string></array>
      <key>RunAtLoad</key><true/></dict></plist>`
    box.write('Library/LaunchAgents/story.plist', plist)
    await box.logout()
    await box.login()
    await expect.poll(() => box.exists('job'), { timeout: 20_000 }).toBe(true)
    await box.logout()
    expect((await box.run(['launchctl', 'print', 'gui/501/story'])).code).not.toBe(0)
  })

  test('has its launchd answer what only looks, in the words of a Node of its own, which answers for sudo', async () => {
    const box = await make({ ...options, mac: { ...joined, brew: { present: true } } })
    const looks = [
      ['sw_vers', '-productVersion'],
      ['sysctl', '-n', 'hw.memsize', 'hw.nothing'],
      ['sysctl', 'hw.nothing'],
      ['lsof', '-nP', '-iTCP:1', '-sTCP:LISTEN'],
      ['netstat', '-anl', '-p', 'tcp', '-f', 'inet6'],
      ['launchctl', 'print', 'gui/501/no such job'],
      ['launchctl', 'getenv', 'HOME'],
      ['launchctl'],
      ['id', '-un'],
      [join(box.prefix, 'bin/brew'), '--prefix'],
      ['ps', '-o', 'pid=', '-p', '999999'],
    ]
    const ownNode = { env: { SSH_TTY: 'a question that is not for launchd' } }
    for (const argv of looks) expect(await box.run(argv), argv.join(' ')).toEqual(await box.run(argv, ownNode))
    renameSync(join(box.dir, 'standins.mjs'), join(box.dir, 'gone.mjs'))
    for (const argv of looks.filter(([name, word]) => word !== '-n' && !(name === 'launchctl' && !word))) {
      expect((await box.run(argv)).stderr, argv.join(' ')).not.toContain('standins.mjs')
      expect((await box.run(argv, ownNode)).stderr, argv.join(' ')).toContain('standins.mjs')
    }
    expect((await box.run(['id', '-u'], { env: { SUDO_UID: '501' } })).stderr).toContain('standins.mjs')
    if (box.namespaced) expect((await box.run(['netstat', '-an'], { on: 'laptop' })).stderr).toContain('standins.mjs')
  })

  test('tells which files of HOME were changed', async () => {
    const box = await make(options)
    box.write('a', '1')
    box.write('b', '1')
    const before = box.snapshot('.')
    await box.run(['/bin/sh', '-c', 'echo 2 >a; rm b; echo 3 >c; chmod 755 Library'])
    expect(differences(before, box.snapshot('.'))).toEqual(['+ c', '- b', '~ a'])
    await box.run(['chmod', '600', 'c'])
    expect(differences(before, box.snapshot('.'))).toEqual(['+ c', '- b', '~ a'])
  })

  test('leaves no process and no folder when it is closed', async () => {
    const box = await make(options)
    const orphan = '(setsid sh -c "echo $HOME; exec sleep 1000" >/dev/null 2>&1 &)'
    await box.run(['/bin/sh', '-c', orphan])
    const running = box.start(['sleep', '1000'])
    await box.close()
    await running.done
    await expect.poll(() => processesOf(box.dir), { timeout: 20_000 }).toEqual([])
    expect(existsSync(box.dir)).toBe(false)
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('ends with the process that made it when that gets %s', async (signal) => {
    const { child, dir } = await boxOfAnotherProcess(options)
    expect(processesOf(dir).length).toBeGreaterThan(0)
    child.kill(signal)
    await once(child, 'exit')
    await expect.poll(() => [existsSync(dir), processesOf(dir).length], { timeout: 20_000 }).toEqual([false, 0])
  })

  test('stays in a folder that is to be kept, and goes on there', async () => {
    const keep = mkdtempSync(join(tmpdir(), 'kept-'))
    onTestFinished(() => rmSync(keep, { recursive: true, force: true }))
    const box = await make({ ...options, keep })
    box.write('file', 'mine')
    box.mac({ computerName: 'Kept' })
    await box.close()
    const again = await make({ ...options, keep })
    expect([again.read('file'), again.state().computerName]).toEqual(['mine', 'Kept'])
    expect((await again.run(['launchctl', 'managername'])).stdout).toBe('Aqua\n')
  })
})

async function boxOfAnotherProcess(options: BoxOptions): Promise<{ child: ChildProcess; dir: string }> {
  const maker = `import { createBox } from ${JSON.stringify(join(checkout, 'sandbox/box/box.ts'))}
    const { dir } = await createBox(${JSON.stringify({ haproxy: false, ...options })})
    console.log(dir)
    setInterval(() => {}, 1000)`
  const argv = ['--import', 'tsx', '--input-type=module', '-e', maker]
  const child = spawn(node, argv, { cwd: checkout, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line]: string[] = await once(child.stdout.setEncoding('utf8'), 'data')
  return { child, dir: (line ?? '').trim() }
}

describe('a plain box', () => {
  test('has addresses and ports of its own, in its settings and on its ifconfig', async () => {
    const [one, two] = await Promise.all([
      make({ namespaces: false, mac: joined }),
      make({ namespaces: false, mac: joined }),
    ])
    expect(one.address).toMatch(/^127\./)
    expect(one.address).not.toBe(two.address)
    const { stdout } = await one.run(['ifconfig'])
    expect(stdout).toContain(`inet ${one.address} `)
    expect([one.state().tailscale.ipv6, stdout.includes('fd7a:')], 'no IPv6 of the tailnet').toEqual(['', false])
    expect(one.read('.config/remote-ollama-proxy/settings.yaml')).toContain(`port: ${one.port}`)
    await listen(one, one.address, 8123)
    expect(await greeting(one, 'laptop', one.address)).toMatch(/^from 127\..* goodbye$/)
    await expect(one.dial('neighbour', one.address, 8123)).rejects.toThrow('no neighbour')
  })
})

describe('sandbox/run.ts', () => {
  async function cli(args: string[], input = ''): Promise<{ code: number; text: string }> {
    const argv = ['--import', 'tsx', join(checkout, 'sandbox/run.ts'), ...args]
    const child = spawn(node, argv, { cwd: checkout, stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGTERM'))
    child.stdin.end(input)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece) => {
      text += piece
    })
    const [code]: number[] = await once(child, 'close')
    return { code: code ?? -1, text }
  }

  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), 'kept-'))
    onTestFinished(() => rmSync(made, { recursive: true, force: true }))
    return made
  }

  test('hands input to a command and passes its output and exit code on', async () => {
    expect(await cli(['sh', '-c', 'read line; echo "$line"; exit 7'], 'hello\n')).toEqual({ code: 7, text: 'hello\n' })
    expect((await cli([])).code).toBe(64)
  })

  test('keeps a box and goes on in it', async () => {
    const keep = folder()
    await cli(['--keep', keep, 'sh', '-c', 'echo mine >file'])
    expect(await cli(['--box', keep, 'cat', 'file'])).toEqual({ code: 0, text: 'mine\n' })
    expect((await cli(['--keep', keep, 'true'])).code).toBe(64)
    expect((await cli(['--box', join(keep, 'nothing'), 'true'])).code).toBe(64)
  })

  test('puts another ollama in the place of the stand-in', async () => {
    const other = join(folder(), 'ollama')
    writeFileSync(other, '#!/bin/sh\necho "the other one"\n', { mode: 0o755 })
    expect(await cli(['--ready', '--ollama', other, 'ollama'])).toEqual({ code: 0, text: 'the other one\n' })
  })
})
