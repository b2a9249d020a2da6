import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, install, installedBox, job, putSettings, runningPid, setFaults, status } from './installed.ts'
import { download, real, signalRunners } from './real.ts'
import { endless, endlessWords, lasting, longChat, openStream, type Stream, words } from './stream.ts'
import { expectGreen, screen, told } from './witness.ts'

let box: Box

beforeAll(async () => {
  box = await installedBox({ settings: 'models: []\n', models: false, code: 5 })
  await download(box, [endless])
})
afterAll(() => box?.close())

const tokens = lasting(200, 4_000)

async function held(): Promise<Stream> {
  setFaults(box, { tokenDelayMs: 2, holds: { afterTokens: 100 } })
  const stream = await openStream(box, longChat(tokens))
  await stream.sees(' w63')
  if (real) await signalRunners(box, 'STOP')
  return stream
}

async function isWhole(stream: Stream): Promise<void> {
  setFaults(box, {})
  if (real) await signalRunners(box, 'CONT')
  expect(await stream.ended).toBe('whole')
  expect(words(stream.text())).toBe(endlessWords(tokens))
}

const ask = () =>
  box.http(box.namespaced ? 'laptop' : 'mac', {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { host: `${box.address}:${box.port}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...longChat(2), stream: false }),
  })

const environment = async () => (await job(box, 'com.ollama'))?.text

describe('a setting that needs a restart of Ollama, while an answer is under way', () => {
  it('refuses new questions with 429 and lets the answer end, then restarts', async () => {
    const stream = await held()
    const before = await runningPid(box, 'com.ollama')
    putSettings(box, 'models: []\ncontext: 32768\n')
    const run = box.startScript('install.ts', ['--yes'])
    const refused = await eventually(
      'a new question is refused',
      async () => {
        const answer = await within(ask())
        return answer?.status === 429 ? answer : undefined
      },
      90_000,
    )
    expect(refused.headers['retry-after']).toBe('5')
    expect(JSON.parse(refused.body)).toMatchObject({
      error: { type: 'rate_limit_error', message: expect.stringContaining('about to restart Ollama') },
    })
    expect(await runningPid(box, 'com.ollama'), 'it waits').toBe(before)
    await isWhole(stream)
    const outcome = await run.done
    expectGreen(outcome.code, told(outcome))
    expect(await runningPid(box, 'com.ollama')).not.toBe(before)
    expect(await environment()).toContain('OLLAMA_CONTEXT_LENGTH => 32768')
    expect(await ask()).toMatchObject({ status: 200 })
  })

  it('leaves the restart undone when the time is over and nobody can be asked: exit 5, and the answer goes on', async () => {
    const stream = await held()
    const before = await runningPid(box, 'com.ollama')
    putSettings(box, 'models: []\ncontext: 16384\ndrain: 1s\n')
    const { code, stderr } = await install(box)
    expect(stderr).toContain('Ollama was not restarted: 1 answer(s) still run')
    expect(stderr).not.toContain('    at ')
    expect(code).toBe(5)
    expect(await runningPid(box, 'com.ollama')).toBe(before)
    expect(await environment()).toContain('OLLAMA_CONTEXT_LENGTH => 32768')
    expect((await status(box)).of('ollama.service')).toMatchObject({
      state: 'missed',
      saw: expect.stringContaining('OLLAMA_CONTEXT_LENGTH'),
    })
    await isWhole(stream)
    expect(await ask(), 'new questions are taken again').toMatchObject({ status: 200 })
  })

  it('asks the person who is there, and cuts only on a yes', async () => {
    const stream = await held()
    const before = await runningPid(box, 'com.ollama')
    const run = box.startScript('install.ts', [], { tty: true })
    await run.expect('Do this?', 90_000)
    run.write('\r')
    await run.expect(/1 answer\(s\) still run after 1s\. Cut them and restart Ollama\?/, 90_000)
    expect(await runningPid(box, 'com.ollama')).toBe(before)
    run.write('y\r')
    expect(await stream.ended).toBe('cut')
    setFaults(box, {})
    expectGreen((await run.done).code, screen(run))
    expect(await runningPid(box, 'com.ollama')).not.toBe(before)
    expect(await environment()).toContain('OLLAMA_CONTEXT_LENGTH => 16384')
    await answers(box)
  })
})

/** A question that is not refused waits behind the running one; it is given up soon and asked again. */
const within = (answer: ReturnType<typeof ask>) =>
  Promise.race([
    answer.catch(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 500)),
  ])
