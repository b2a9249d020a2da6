import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { installedBox, settingsFile } from './installed.ts'
import { cannot, expectGreen, titled, told } from './witness.ts'

const [first, second] = [12_501, 12_502]

/** The files of an nginx gateway in front of two Ollamas. */
const upstream = `# Backend Ollama Servers
server 127.0.0.1:${first}; # GPU Server 1
server 127.0.0.1:${second} weight=2 max_fails=3;
server 127.0.0.1:12503 down;
keepalive 16;
`
const apiKeys = '"Bearer a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6" 1;\n'

describe.skipIf(cannot)(titled('a gateway without an engine takes over from nginx'), () => {
  let box: Box
  let stop: () => Promise<unknown>
  const rop = (...words: string[]) => box.run([`${box.prefix}/bin/rop`, ...words], { cwd: '/' })
  const serve = (port: number) =>
    box.start(['/bin/sh', '-c', `OLLAMA_HOST=127.0.0.1:${port} exec ${box.prefix}/bin/ollama serve`])
  const ask = () =>
    box.http(box.namespaced ? 'laptop' : 'mac', {
      ...{ method: 'POST', path: '/v1/chat/completions', host: box.address, port: box.port },
      headers: {
        host: `${box.address}:${box.port}`,
        'content-type': 'application/json',
        authorization: 'Bearer a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6',
      },
      body: JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content: `${Math.random()}` }] }),
    })
  const by = async () => (await ask()).headers['x-served-by']

  beforeAll(async () => {
    box = await installedBox({ settings: 'role: gateway\naccess: keys\n', code: 5 })
  })
  afterAll(() => box?.close())

  it('has no Ollama of its own, and says that it has no node yet', async () => {
    expect((await rop('nodes')).stdout).toContain('nodes add NAME ADDRESS')
    const { stdout } = await box.run(['launchctl', 'print', 'gui/501/com.ollama'])
    expect(stdout).not.toContain('state = running')
    expect((await rop('status')).stdout).toContain('no node yet')
  })

  it('takes the servers and the keys as they are written, and names what it does not', async () => {
    const running = serve(first)
    // What one that is just dying took in is lost, and told so.
    stop = () => {
      running.kill()
      return running.done
    }
    serve(second)
    await eventually('a model is there', async () => {
      const pulled = await box.run(['ollama', 'pull', 'qwen3:0.6b'], { env: { OLLAMA_HOST: `127.0.0.1:${second}` } })
      return pulled.code === 0
    })
    box.write('upstream_ollama.conf', upstream)
    box.write('api_keys.conf', apiKeys)
    const nodes = await rop('nodes', 'import', `${box.home}/upstream_ollama.conf`)
    expect(nodes.stderr).toContain('line 5: keepalive is nothing that a node has')
    expect(nodes.code, told(nodes)).toBe(5)
    expect(box.read(settingsFile)).toMatch(/node-2: \{.*speed: 2/)
    expectGreen((await rop('keys', 'import', `${box.home}/api_keys.conf`)).code, '')
    const listed = JSON.parse((await rop('nodes', '--json')).stdout) as { name: string; state: string }[]
    expect(listed.map(({ name, state }) => [name, state])).toEqual([
      ['node-1', 'up'],
      ['node-2', 'up'],
      ['node-3', 'down'],
    ])
  })

  it('answers with a key from before, and leaves everything proven', async () => {
    expect((await ask()).status).toBe(200)
    const outcome = await rop('test')
    expectGreen(outcome.code, told(outcome))
  })

  it('goes on when one of the servers stops, and nobody notices', async () => {
    expect(await by()).toBe('node-2')
    await stop()
    const answers = await Promise.all(Array.from({ length: 6 }, ask))
    expect(answers.filter(({ status }) => status !== 200).map(({ body }) => body)).toEqual([])
    await eventually('the gateway knows', async () => /^node-1 +down/m.test((await rop('nodes')).stdout))
  })
})
