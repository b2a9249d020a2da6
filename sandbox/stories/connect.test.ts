import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '../../lib/clients/index.ts'
import type { Box } from '../box/box.ts'
import { checkout, node } from '../box/paths.ts'
import { putSettings } from './installed.ts'
import { at, cannot, installed, modest, quickBox, titled } from './witness.ts'

const model = 'qwen3:0.6b'
const hello = `This is ${model}.`

let box: Box
let base: string
let key: string

beforeAll(async () => {
  if (cannot) return
  box = await quickBox()
  box.write(at(box).settings, modest, 0o600)
  await installed(box)
  base = `http://studio.tail0lab.ts.net:${box.port}`
})
afterAll(() => box?.close())

const rop = (...words: string[]) => box.run([`${box.prefix}/bin/rop`, ...words], { cwd: box.home })

interface Told {
  snippets: { where: string; text: string }[]
  needs: string[]
}
const told = async (...words: string[]) => JSON.parse((await rop('connect', ...words, '--json')).stdout) as Told

/** Evaluates a snippet of JavaScript on another machine, where the checkout's packages are. */
const evaluated = (text = '') => box.run([node, '--input-type=module', '-e', text], { on: 'laptop', cwd: checkout })

describe.skipIf(cannot)(titled('rop connect'), () => {
  it('lists every client on one screen, with what cannot be connected and what needs more', async () => {
    const { code, stdout } = await rop('connect')
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect([lines.length < 24, lines.filter((line) => line.length > 80)]).toEqual([true, []])
    expect(lines[0]).toBe(`Clients of ${base}`)
    for (const { name } of clients) expect(stdout).toMatch(new RegExp(`[ ]${name}[*+]?( |$)`, 'm'))
    expect(stdout).toContain('cursor*')
    expect(stdout).toContain('ollama+')
  })

  it('prints what to paste, with the real address and a model that is there', async () => {
    const { code, stdout } = await rop('connect', 'codex')
    expect(code).toBe(0)
    expect(stdout).toContain(`Codex with ${model} on ${base}\n\nIn ~/.codex/config.toml:\n\nmodel = "${model}"`)
    expect(stdout).toContain(`base_url = "${base}/v1"`)
    expect(stdout).not.toMatch(/KEY\b|HOST|undefined/)
  })

  it('asks back for a name and a model that are not known, and says why Cursor is none', async () => {
    const unknown = await rop('connect', 'codx')
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean codex?') })
    const other = await rop('connect', 'codex', '--model', 'qwen3:0.6')
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining(`did you mean ${model}?`) })
    expect(await rop('connect', 'cursor')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Cursor cannot be connected: Cursor’s own servers ask'),
    })
  })

  it('says what settings.yaml has to open, in one line to write', async () => {
    expect((await rop('connect', 'ollama-js')).stdout).toContain(
      'It needs what is not open here (native). Write into settings.yaml:\n  groups: [agents, native]\nand then: rop apply',
    )
  })

  it('gives each SDK a snippet that asks as it stands', async () => {
    for (const name of ['openai', 'anthropic']) {
      const { code, stdout, stderr } = await evaluated((await told(name)).snippets[0]?.text)
      expect([name, code, stdout], stderr).toEqual([name, 0, expect.stringContaining(hello)])
    }
    const closed = await evaluated((await told('ollama-js')).snippets[0]?.text)
    expect(closed.stderr).toContain('not enabled on this server (group: native)')
  })
})

describe.skipIf(cannot)(titled('where an API key is asked for'), () => {
  beforeAll(async () => {
    putSettings(box, `groups: [agents, native]\naccess: keys\nmodels: ['${model}']\n`)
    expect((await rop('apply')).code).toBe(0)
    key = (JSON.parse((await rop('keys', 'add', 'bob', '--json')).stdout) as { key: string }).key
    box.write('key', `${key}\n`, 0o600)
  })

  it('has KEY in its place and says who makes one', async () => {
    const { stdout } = await rop('connect', 'codex')
    expect(stdout).toContain('export MAC_API_KEY=KEY')
    expect(stdout).toContain('KEY stands for an API key; make one with: rop keys add NAME')
  })

  it('puts in one that comes from a file or by a pipe, and takes none as a word', async () => {
    expect((await rop('connect', 'codex', '--key-file', 'key')).stdout).toContain(`export MAC_API_KEY=${key}`)
    const piped = await box.run([`${box.prefix}/bin/rop`, 'connect', 'claude', '--key', '-'], { input: key })
    expect(piped.stdout).toContain(`export ANTHROPIC_AUTH_TOKEN=${key}`)
    const word = await rop('connect', 'claude', '--key', key)
    expect([word.code, word.stdout, word.stderr.includes(key)]).toEqual([2, '', false])
  })

  it('gives snippets that ask with it', async () => {
    for (const name of ['openai', 'anthropic', 'ollama-js']) {
      const { needs, snippets } = await told(name, '--key-file', 'key')
      const { code, stdout, stderr } = await evaluated(snippets[0]?.text)
      expect([name, needs, code, stdout], stderr).toEqual([name, [], 0, expect.stringContaining(hello)])
    }
    const without = await evaluated((await told('openai')).snippets[0]?.text)
    expect(without.stderr).toContain('401 Gateway: this API key is not known here')
  })

  it('shows address and key as a QR code for a phone', async () => {
    const { stdout } = await rop('connect', 'open-webui', '--key-file', 'key', '--qr')
    const rows = stdout.split('\n').filter((line) => /^[ ▀▄█]{21,}$/.test(line))
    expect(rows.length, stdout).toBeGreaterThan(10)
  })

  it('works from a machine without anything installed, which lists what its key may ask', async () => {
    const env = { HOME: `${box.home}/laptop` }
    box.write('laptop/.keep', '')
    const words = ['connect', 'codex', '--server', new URL(base).host, '--key-file', `${box.home}/key`]
    const away = await box.run([node, '--import', 'tsx', 'rop.ts', ...words], { on: 'laptop', env, cwd: checkout })
    expect([away.code, away.stdout], away.stderr).toEqual([
      0,
      expect.stringContaining(`Codex with ${model} on ${base}`),
    ])
  })
})

/** Stands in for a client: writes down how it was started, says where it sits, and ends as it is told. */
const standIn = `#!/bin/sh
{ for word in "$@"; do printf 'word %s\\n' "$word"; done; env; } > "$HOME/started"
if [ -t 0 ]; then echo 'sits at a terminal'; fi
case "$*" in
  *wait*) trap 'echo heard INT; exit 9' INT; trap 'echo heard TERM; exit 8' TERM; echo waits; while :; do sleep 0.1; done ;;
esac
exit 7
`

describe.skipIf(cannot)(titled('rop launch'), () => {
  const home = () => `${box.home}/laptop`
  const folder = () => `${home()}/.config/remote-ollama-proxy/launch`
  const argv = (...words: string[]) => [node, '--import', 'tsx', `${checkout}/rop.ts`, 'launch', ...words]
  /** On a laptop, where nothing of ours is installed. */
  const away = (...words: string[]) =>
    box.run(argv(...words), { on: 'laptop', env: { HOME: home(), ANTHROPIC_API_KEY: 'sk-theirs' }, cwd: checkout })
  const started = () => box.read(`${home()}/started`)

  beforeAll(() => {
    for (const name of ['claude', 'codex', 'qwen']) box.write(`${box.prefix}/bin/${name}`, standIn, 0o755)
  })

  it('says how to get a client that is missing, and which it knows', async () => {
    const missing = await away('aider', '--server', base)
    expect(missing).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('get it with: uv tool install aider-chat'),
    })
    expect(await away('zed')).toMatchObject({ code: 2, stderr: expect.stringContaining('rop.ts connect zed') })
    expect(await away('codex')).toMatchObject({ code: 2, stderr: expect.stringContaining('--server NAME') })
  })

  it('asks one question first, and starts nothing where no answer comes', async () => {
    const keyless = await away('claude', '--server', base)
    expect(keyless).toMatchObject({ code: 3, stderr: expect.stringContaining('it asks for an API key') })
    const model = await away('claude', '--server', base, '--key-file', `${box.home}/key`, '--model', 'nosuch:1b')
    expect(model).toMatchObject({ code: 3, stderr: expect.stringContaining('no such model') })
    const port = await away('claude', '--server', `${new URL(base).hostname}:9`, '--key-file', `${box.home}/key`)
    expect(port).toMatchObject({ code: 3, stderr: expect.stringContaining('nobody listens on that port') })
    expect(box.exists(`${home()}/started`)).toBe(false)
    expect(box.exists(folder())).toBe(false)
  })

  it('starts the client with words of its own, gives its exit code, and names the key to it alone', async () => {
    const { code, stderr } = await away(
      'claude',
      '--server',
      base,
      '--key-file',
      `${box.home}/key`,
      '--',
      '-p',
      'say hi',
    )
    expect(code, stderr).toBe(7)
    const lines = started().split('\n')
    expect(lines.filter((line) => line.startsWith('word ')).slice(-2)).toEqual(['word -p', 'word say hi'])
    expect(lines).toEqual(
      expect.arrayContaining([`ROP_API_KEY=${key}`, `ANTHROPIC_BASE_URL=${base}`, `ANTHROPIC_MODEL=${model}`]),
    )
    expect(lines.filter((line) => /^(ANTHROPIC_API_KEY|ROP_FROM|ROP_TYPED)=/.test(line))).toEqual([])
    expect(lines.filter((line) => line.startsWith('word ') && line.includes(key))).toEqual([])
  })

  it('remembers the server, writes only into a folder of its own, and takes it all back', async () => {
    expect((await away('qwen', '--key-file', `${box.home}/key`)).code).toBe(7)
    expect(started()).toContain(`QWEN_CODE_SYSTEM_SETTINGS_PATH=${folder()}/qwen.json\n`)
    expect([...box.snapshot(home()).keys()].filter((name) => !/^(\.keep|started)$/.test(name)).sort()).toEqual([
      '.config',
      '.config/remote-ollama-proxy',
      '.config/remote-ollama-proxy/launch',
      '.config/remote-ollama-proxy/launch/qwen.json',
      '.config/remote-ollama-proxy/launch/receipt.json',
    ])
    expect(box.read(`${folder()}/receipt.json`)).not.toContain(key)
    const { code, stdout } = await away('--forget')
    expect([code, stdout]).toEqual([0, expect.stringContaining(`${folder()}/qwen.json`)])
    expect(box.exists(folder())).toBe(false)
    expect((await away('--forget')).stdout).toContain('has written nothing here')
  })

  it('asks for the key where it is asked for, shows it to nobody, and keeps it after a yes, for its owner alone', async () => {
    const tty = { on: 'laptop', env: { HOME: home() }, cwd: checkout, tty: true } as const
    const first = box.start(argv('codex', '--server', base), tty)
    await first.expect('API key for')
    first.write(`${key}\r`)
    await first.expect('Keep this key')
    first.write('y\r')
    await first.expect('sits at a terminal')
    expect((await first.done).code).toBe(7)
    expect(first.output()).not.toContain(key)
    const { mode } = statSync(box.outside(`${folder()}/receipt.json`))
    expect([mode & 0o777, box.read(`${folder()}/receipt.json`)]).toEqual([0o600, expect.stringContaining(key)])
    expect((await away('codex')).code).toBe(7)
    expect(started()).toContain(`ROP_API_KEY=${key}`)
  })

  it('leaves Ctrl-C to the client, and passes a signal on', async () => {
    const tty = { on: 'laptop', env: { HOME: home() }, cwd: checkout, tty: true } as const
    const terminal = box.start(argv('codex', '--', 'wait'), tty)
    await terminal.expect('waits')
    terminal.write('\x03')
    expect([(await terminal.done).code, terminal.output().match(/heard INT/g)]).toEqual([9, ['heard INT']])
    const plain = box.start(argv('codex', '--', 'wait'), { ...tty, tty: false })
    await plain.expect('waits')
    plain.kill('SIGTERM')
    expect((await plain.done).stdout).toContain('heard TERM')
  })

  it('prints the environment and the command instead', async () => {
    const { code, stdout } = await away('codex', '--model', model, '--print')
    expect(code).toBe(0)
    expect(stdout).toContain(`export ROP_API_KEY=${key}\n`)
    expect(stdout).toMatch(/codex -c 'model="qwen3:0\.6b"' -c /)
  })

  it('knows address, model and context by itself on the server', async () => {
    const { code, stderr } = await rop('launch', 'claude', '--key-file', 'key')
    expect(code, stderr).toBe(7)
    const lines = box.read('started').split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        `ANTHROPIC_BASE_URL=${base}`,
        expect.stringMatching(/^CLAUDE_CODE_MAX_CONTEXT_TOKENS=\d{5,6}$/),
      ]),
    )
    expect(box.exists('.config/remote-ollama-proxy/launch')).toBe(false)
  })
})
