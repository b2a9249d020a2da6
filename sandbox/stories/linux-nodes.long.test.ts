import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const [unit, port, model] = ['second-engine', 12_500, 'qwen3:0.6b']
let machine: Booted
const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])

/** Who answers a question to the gateway. */
async function by(): Promise<string> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: `${Math.random()}` }] })
  const { stdout } = await sh(`curl -s -o /dev/null -D - -d '${body}' http://100.64.0.1:11434/v1/chat/completions`)
  return `${/^HTTP\S+ (\d+)/.exec(stdout)?.[1]} ${/x-served-by: (\S+)/i.exec(stdout)?.[1]}`
}

describe.skipIf(why !== undefined)(`nodes on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    const outcome = await sh(`cd ${checkout} && ./bootstrap.sh --yes --model ${model}`)
    expectGreen(outcome.code, told(outcome))
    await sh(`systemd-run --unit=${unit} -E OLLAMA_HOST=127.0.0.1:${port} -E HOME=/root ollama serve`)
    const env = `OLLAMA_HOST=127.0.0.1:${port}`
    await sh(`until ${env} ollama pull ${model} && ${env} ollama run ${model} hello; do sleep 0.2; done`)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('a second engine is added, answers, and leaves everything proven', async () => {
    const added = await sh(`rop nodes add second 127.0.0.1:${port} --speed 2`)
    expect(added.code, told(added)).toBe(0)
    expect(await by()).toBe('200 second')
    const proven = await sh('rop test')
    expectGreen(proven.code, told(proven))
  })

  test('what it does not take is answered by the other one, over a socket that HAProxy’s own user may open', async () => {
    await sh(`systemctl kill --signal=SIGKILL ${unit}`)
    expect(await by()).toBe('200 here')
    expect((await sh('rop nodes')).code).toBe(1)
  })
})
