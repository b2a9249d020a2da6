import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box, Outcome, Running } from '../box/box.ts'
import { differences } from '../box/box.ts'
import { smallDisk } from '../box/disk.ts'
import { scriptCommand } from '../box/layout.ts'
import { checkout } from '../box/paths.ts'
import { combine } from '../box/presets.ts'
import type { MacState } from '../standins/mac-state.ts'
import { at, cannot, everything, installed, job, modest, pids, quickBox, run, screen, titled, told } from './witness.ts'

/** What A9 asks of every refusal: the right exit code, a sentence that says it, and no stack trace. */
function refused(outcome: Outcome, code: number, says: RegExp): void {
  expect(outcome.code, told(outcome)).toBe(code)
  expect(outcome.stderr).toMatch(says)
  expect(outcome.stderr).not.toMatch(/^\s+at .*[(:]/m)
  expect(outcome.stderr.trim().split('\n').length, outcome.stderr).toBeLessThan(12)
}

/** Python's listener, with a name that is not ours. */
const listener = (address: string, port: number) => [
  '/usr/bin/env',
  'node',
  '-e',
  `require('net').createServer().listen(${port}, '${address}', () => console.log('listens'))`,
  'their-server',
]

describe.skipIf(cannot)(titled('a machine that will not do'), () => {
  let box: Box
  let first: MacState
  beforeAll(async () => {
    box = await quickBox()
    first = box.state()
    box.write(at(box).settings, modest, 0o600)
  })
  afterEach(() => box.mac(first))
  afterAll(() => box.close())

  const machines: [what: string, mac: object, code: number, says: RegExp][] = [
    ['macOS 13', { macos: '13.6' }, 3, /^This is macOS 13\.6\. Upgrade/],
    ['an Intel Mac', { arch: 'x86_64', chip: 'Intel Core i9' }, 3, /Intel.*M1 or newer/],
    ['Node under Rosetta', { translated: true }, 3, /Rosetta.*\.\/bootstrap\.sh/],
    ['root', { uid: 0, user: 'root' }, 3, /root.*without sudo/],
    ['a session over ssh only', { desktop: false }, 3, /ssh only.*Screen Sharing/],
    ['a machine that waits for approval', { tailscale: { state: 'NeedsMachineAuth' } }, 3, /approve this machine/],
    [
      'two Tailscales',
      { tailscale: { second: 'formula' } },
      3,
      /two variants of Tailscale are installed: standalone and formula/,
    ],
    [
      'a port that tailscale serve holds',
      { tailscale: { serve: { TCP: { 11434: { HTTP: true } } } } },
      3,
      /Tailscale serve --http=11434 off/,
    ],
  ]

  it.each(machines)('%s is refused before anything is touched', async (_what, mac, code, says) => {
    box.mac(combine(first, mac) as unknown as MacState)
    const place = await box.run([
      '/usr/bin/env',
      `BOX=${box.dir}`,
      process.execPath,
      `${box.dir}/standins.mjs`,
      'box-place',
    ])
    expect(place.code, told(place)).toBe(0)
    const before = everything(box)
    refused(await run(box, 'install.ts', '--yes'), code, says)
    expect(differences(before, everything(box))).toEqual([])
    if (/two Tailscales/.test(_what)) await box.run(['brew', 'uninstall', 'tailscale'])
  })

  it.each([
    ['Ollama’s', '127.0.0.1', 11434, modest],
    ['the gateway’s', '100.64.0.1', 18080, `port: 18080\n${modest}`],
    ['its successor’s, on loopback,', '127.0.0.1', 11436, modest],
    ['the gateway’s, on every address,', '0.0.0.0', 18080, `port: 18080\n${modest}`],
  ])('%s port in another program’s hands is named with its holder', async (_whose, address, port, settings) => {
    box.write(at(box).settings, settings, 0o600)
    const theirs: Running = box.start(listener(address, port))
    try {
      await theirs.expect('listens')
      const before = everything(box)
      const outcome = await run(box, 'install.ts', '--yes')
      refused(outcome, 3, /node \(process \d+\) on/)
      expect(differences(before, everything(box))).toEqual([])
    } finally {
      theirs.kill('SIGKILL')
      await theirs.done
      box.write(at(box).settings, modest, 0o600)
    }
  })

  it.each(["o'hara", 'a"b', 'a#b', 'a,b', 'a(b', 'a)b', 'a\\b', 'a\tb', 'a%b', 'x'.repeat(60)])(
    'a home folder called %j is refused before the first question',
    async (name) => {
      const env = { HOME: `${box.home}/${name}` }
      const asked = box.startScript('install.ts', [], { tty: true, env })
      const { code } = await asked.done
      expect(code, screen(asked)).toBe(3)
      expect(screen(asked).replaceAll(/\s+/g, ' ')).toMatch(
        /(which HAProxy cannot be told of|a socket below it would be too long)\. Install it for a user/,
      )
      expect(screen(asked)).not.toContain('Install HAProxy proxy?')
    },
  )

  it.each([
    ['Library/LaunchAgents', /~\/Library\/LaunchAgents .*chmod u\+rwx '\/Users\/ada\/Library\/LaunchAgents'/],
    ['.haproxy', /~\/\.haproxy can be written: .*chmod u\+rwx '\/Users\/ada\/\.haproxy'/],
    ['.config/remote-ollama-proxy', /~\/\.config\/remote-ollama-proxy may not be written/],
  ])('%s that may not be written: the command to type, before anything is changed', async (name, says) => {
    const folder = box.outside(`${box.home}/${name}`)
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o555)
    try {
      const before = everything(box)
      refused(await run(box, 'install.ts', '--yes'), 3, says)
      expect(differences(before, everything(box))).toEqual([])
    } finally {
      chmodSync(folder, 0o755)
      if (name !== '.config/remote-ollama-proxy') rmSync(folder, { recursive: true })
    }
  })

  it('a home folder that cannot be read is refused in one sentence', async () => {
    const home = box.outside(box.home)
    chmodSync(home, 0o000)
    try {
      for (const script of ['install.ts', 'status.ts', 'uninstall.ts'])
        refused(await run(box, script, ...(script === 'status.ts' ? [] : ['--yes'])), 3, /permission|EACCES/i)
    } finally {
      chmodSync(home, 0o755)
    }
  })

  it('a login that nobody makes shows its address, and Ctrl-C is the way out', async () => {
    box.mac(combine(first, { tailscale: { state: 'NeedsLogin', joined: false } }) as unknown as MacState)
    const waiting = box.startScript('install.ts', ['--yes'])
    await waiting.expect('https://login.tailscale.com/a/', 60_000).finally(() => waiting.kill('SIGINT'))
    const outcome = await waiting.done
    refused(outcome, 130, /Interrupted at "/)
  })

  it('a login that nobody makes is waited for two minutes where nobody sits, and then says what to do', async () => {
    const logged = { state: 'NeedsLogin', joined: false, hurry: 60 }
    box.mac(combine(first, { tailscale: logged }) as unknown as MacState)
    const outcome = await run(box, 'install.ts', '--yes')
    refused(outcome, 3, /https:\/\/login\.tailscale\.com\/a\//)
    expect(outcome.stderr.trimEnd().split('\n').at(-1)).toBe(
      'Stopped at "This machine is on the tailnet": Nobody logged in to Tailscale within 2 minutes; run `/Applications/Tailscale.app/Contents/MacOS/Tailscale up`, open the address it shows, and run install.ts again.',
    )
  })

  it('a Tailscale that may not be told to connect is refused with its own words', async () => {
    box.mac(combine(first, { tailscale: { state: 'Stopped', denied: true } }) as unknown as MacState)
    refused(await run(box, 'install.ts', '--yes'), 3, /Access denied/)
  })

  it('a Tailscale whose daemon is gone is refused with what to do', async () => {
    box.mac(combine(first, { desktop: true, tailscale: { daemon: false } }) as unknown as MacState)
    await box.run(['rm', '-rf', '/Applications/Tailscale.app'])
    await box.run(['brew', 'install', 'tailscale'])
    box.mac((mac) => {
      mac.tailscale = { ...mac.tailscale, variant: 'formula', second: undefined, daemon: false }
    })
    refused(await run(box, 'install.ts', '--yes'), 3, /Failed to connect to local Tailscale daemon/)
  })
})

describe.skipIf(cannot)(titled('a Homebrew that fails'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({
      preset: 'brew',
      mac: { tailscale: { variant: 'standalone', state: 'Running', joined: true } },
    })
    box.write(at(box).settings, modest, 0o600)
  })
  afterAll(() => box.close())

  it('without a network stops with exit code 3 and brew’s own words', async () => {
    box.mac((mac) => {
      mac.brew.network = false
    })
    refused(await run(box, 'install.ts', '--yes'), 3, /Stopped at "Ollama .*Could not resolve host/)
    expect(await job(box, labels.engine)).toBeUndefined()
  })

  it('without a network stops with exit code 3 where somebody sits, too, in brew’s own words', async () => {
    const watched = box.startScript('install.ts', ['--yes'], { tty: true })
    const { code } = await watched.done
    expect(code, screen(watched)).toBe(3)
    expect(screen(watched).replaceAll(/\s+/g, ' ')).toMatch(/Stopped at "Ollama .*Could not resolve host/)
  })

  it('for another reason stops with exit code 1 where somebody sits', async () => {
    box.mac((mac) => {
      mac.brew.network = true
      mac.brew.fail = { verb: 'install', name: 'ollama', stderr: 'Error: the bottle is broken', code: 1, times: 1 }
    })
    const watched = box.startScript('install.ts', ['--yes'], { tty: true })
    const { code } = await watched.done
    expect(code, screen(watched)).toBe(1)
    expect(screen(watched)).not.toContain('There is no network')
  })

  it('half-way stops with exit code 1, and what is done already stays', async () => {
    box.mac((mac) => {
      mac.brew.network = true
      mac.brew.fail = { verb: 'install', name: 'haproxy', stderr: 'Error: the bottle is broken', code: 1, times: 1 }
    })
    refused(await run(box, 'install.ts', '--yes'), 1, /Stopped at "HAProxy .*the bottle is broken/)
    expect((await job(box, labels.engine))?.state).toBe('running')
    expect(await job(box, labels.gateway)).toBeUndefined()
  })

  it('is no lasting harm: the next run goes on and ends green', async () => {
    await installed(box)
  })

  it('a disk that takes no more leaves the old configuration and the running worker as they were', async () => {
    const [before, worker] = [box.read(at(box).config), await pids(box)]
    box.write(at(box).settings, `queue: { max: 63 }\n${modest}`, 0o600)
    // Writes beyond 8 KB fail, as on a full disk: the configuration is larger, and nothing else that is written here.
    const words = scriptCommand('install.ts', ['--yes'])
    const outcome = await box.run(['/bin/sh', '-c', 'ulimit -f 16; exec "$@"', 'sh', ...words], { cwd: checkout })
    refused(outcome, 1, /Stopped at "The gateway’s configuration .*(EFBIG|ENOSPC)/)
    expect(box.read(at(box).config)).toBe(before)
    expect(await pids(box)).toEqual(worker)
    expect([...box.snapshot('.haproxy').keys()].filter((path) => /\.next|\.new/.test(path))).toEqual([])
    box.write(at(box).settings, modest, 0o600)
  })

  it.each([['install.ts', '--model'], ['warm-models.ts'], ['test.ts', '--model']])(
    '%s refuses names that are no models',
    async (script, ...words) => {
      const before = everything(box)
      const names = ['two words', '../../etc/passwd', 'x;touch ~/owned', '$(touch ~/owned)', '-', 'a'.repeat(300)]
      for (const name of names) {
        const more = script === 'install.ts' ? ['--yes'] : []
        const outcome = await run(box, script, ...more, ...(words.length > 0 ? [`${words[0]}=${name}`] : ['--', name]))
        refused(outcome, 2, script === 'test.ts' ? /is not installed/ : /model name/)
        expect(outcome.stderr).not.toContain('a'.repeat(100))
      }
      expect(differences(before, everything(box))).toEqual([])
    },
  )
})

describe.skipIf(cannot)(titled('a disk that is full'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, modest, 0o600)
    await installed(box)
    await box.run(['ollama', 'pull', 'tiny-loop'])
  })
  afterAll(() => box.close())

  /** A file as the box's programs see it. */
  const inside = async (path: string) => (await box.run(['cat', path])).stdout
  const noRoom = /^Stopped at "[^"]+": the disk is full \(ENOSPC: .*\)\. Make room and run install\.ts again/m

  it('under the settings leaves them as they were, and says so in one sentence', async () => {
    const { settings, settingsFolder } = at(box)
    await smallDisk(box, settingsFolder, 0)
    refused(await run(box, 'install.ts', '--yes', '--model', 'tiny-loop'), 1, noRoom)
    expect(await inside(settings)).toBe(modest)
    expect((await box.run(['ls', '-A', settingsFolder])).stdout).toBe('settings.yaml\n')
  })

  it('under the gateway leaves its configuration and the running worker as they were', async () => {
    const { config, proxy } = at(box)
    await smallDisk(box, proxy, 200)
    // Its sockets are on the disk below, so it makes them anew.
    await box.run(['launchctl', 'kickstart', '-k', `gui/501/${labels.gateway}`])
    await installed(box)
    const [before, worker] = [await inside(config), await pids(box)]
    await box.run(['/bin/sh', '-c', `cat /dev/zero >${proxy}/full`])
    box.write('/tmp/settings.yaml', `queue: { max: 63 }\n${modest}`, 0o600)
    refused(await run(box, 'install.ts', '--yes', '--config', '/tmp/settings.yaml'), 1, noRoom)
    expect(await inside(config)).toBe(before)
    expect(await pids(box)).toEqual(worker)
    expect((await box.run(['ls', proxy])).stdout).not.toMatch(/\.next|\.new|\.writing/)
  })
})

describe.skipIf(cannot)(titled('settings that will not do'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
  })
  afterAll(() => box.close())

  const put = (bytes: string | Buffer) => {
    const file = box.outside(at(box).settings)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(file, bytes, { mode: 0o600 })
  }

  const rows: [what: string, bytes: string | Buffer, says: RegExp][] = [
    ['an unknown group', 'groups: [agents, everything]\n', /groups\.1: unknown group "everything"; known are/],
    ['a group that never opens', 'groups: [manage]\n', /groups\.0: group "manage" cannot be opened/],
    ['an unknown setting', 'portt: 1\nqueue: { lenght: 1 }\n', /queue\.lenght: there is no such setting[\s\S]*portt/],
    [
      'wrong types',
      'port: "11434"\nmodels: qwen3\nlog: loud\ndrain: 5\n',
      /port:[\s\S]*models:[\s\S]*log:[\s\S]*drain:/,
    ],
    ['port 0', 'port: 0\n', /port: a port from 1024 to 65535/],
    ['port 70000', 'engine: { port: 70000 }\n', /engine\.port: a port from 1024 to 65535/],
    ['a wildcard address', 'listen: 0.0.0.0\n', /listen: only "tailnet".*wildcard/],
    ['a public address', 'listen: 203.0.113.7\n', /listen: only "tailnet".*203\.0\.113\.7/],
    ['a model that is no name', 'models: ["../x"]\n', /models\.0: a model name/],
    ['bytes that are not UTF-8', Buffer.from([0x6c, 0x6f, 0x67, 0x3a, 0x20, 0xff, 0xfe, 0x0a]), /is not UTF-8 text/],
    [
      'UTF-16',
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('log: errors\n', 'utf16le')]),
      /is not UTF-8 text/,
    ],
    ['text that is not YAML', 'port: [11434\nlog: : errors\n', /is not YAML: /],
    ['a list where settings should be', '- port: 11434\n', /\(top\)/],
  ]

  it.each(rows)('%s: every fault is named with its key, and nothing is changed', async (_what, bytes, says) => {
    put(bytes)
    const before = everything(box)
    refused(await run(box, 'install.ts', '--yes'), 2, says)
    expect(differences(before, everything(box))).toEqual([])
  })

  it.each(['status.ts', 'test.ts', 'warm-models.ts'])('%s says the same', async (script) => {
    put('port: 0\n')
    refused(await run(box, script), 2, /settings\.yaml has 1 fault; nothing was changed\.\n {2}port:/)
    rmSync(box.outside(at(box).settings))
  })

  it.each(['install.ts', 'test.ts', 'status.ts', 'warm-models.ts', 'uninstall.ts'])(
    '%s refuses a flag that it does not know, with its usage',
    async (script) => {
      const before = everything(box)
      const outcome = await run(box, script, '--frobnicate')
      expect(outcome.code, told(outcome)).toBe(2)
      expect(outcome.stderr).toContain("Unknown option '--frobnicate'")
      expect(outcome.stderr).toContain(`Usage: npx tsx ${script}`)
      expect(outcome.stderr).not.toMatch(/^\s+at /m)
      expect(differences(before, everything(box))).toEqual([])
    },
  )
})
