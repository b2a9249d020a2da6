import type { Box } from './box/box.ts'
import { scriptCommand } from './box/layout.ts'
import { checkout, node } from './box/paths.ts'
import { eventually } from './stories/await.ts'
import { setFaults } from './stories/installed.ts'
import { longChat, openStream } from './stories/stream.ts'

const person = 'bob'
const models = 'qwen3:0.6b,tiny-loop'
const settingsFile = '.config/remote-ollama-proxy/settings.yaml'

/** How the demo shows things: a heading and commands whose output is seen. */
export interface Stage {
  say(text: string): void
  show(box: Box, name: string, args: string[]): Promise<void>
}

/** Runs a root script, prints what it printed, and gives it back. */
async function told(stage: Stage, box: Box, name: string, ...args: string[]): Promise<string> {
  stage.say(`$ npx tsx ${[name, ...args.map((word) => (word.includes(',') ? `'${word}'` : word))].join(' ')}`)
  const { code, stdout, stderr } = await box.run(scriptCommand(name, args), { cwd: checkout })
  stage.say(`${stdout}${stderr}(exit code ${code})`)
  if (code !== 0) throw new Error(`${name} ${args[0] ?? ''} ended with ${code}`)
  return stdout
}

/** A second person gets a key for two models, two at once; the official SDKs use it; it is taken back under a running answer. */
export async function share(stage: Stage, box: Box): Promise<void> {
  box.write(settingsFile, box.read(settingsFile).replace(/^access: .*$/m, 'access: keys'), 0o600)
  stage.say('(settings.yaml now says access: keys)')
  await stage.show(box, 'apply.ts', [])
  await stage.show(box, 'warm-models.ts', ['tiny-loop'])
  const said = await told(stage, box, 'keys.ts', 'add', person, '--models', models, '--concurrent', '2')
  const key = /rop_\w{36}/.exec(said)?.[0] ?? ''
  await clients(stage, box, key)
  await revoked(stage, box, key)
  await counted(stage, box)
  await stage.show(box, 'status.ts', [])
}

interface Row {
  who: string
  model: string
  requests: number
  refused: number
}

/** The report holds what the SDKs did: four answers of the one model, two refusals of the model that the key may not use. */
async function counted(stage: Stage, box: Box): Promise<void> {
  const rows = async (): Promise<Row[]> => {
    const { stdout } = await box.run(scriptCommand('status.ts', ['--report', '--json']), { cwd: checkout })
    return (JSON.parse(stdout) as { usage: Row[] }).usage.filter(({ who }) => who === person)
  }
  await eventually('the report is right', async () => {
    const found = await rows()
    const has = (model: string, requests: number, refused: number) =>
      found.some((row) => row.model === model && row.requests === requests && row.refused === refused)
    return has('qwen3:0.6b', 4, 0) && has('tiny-think', 2, 2)
  })
  await told(stage, box, 'status.ts', '--report')
}

async function clients(stage: Stage, box: Box, key: string): Promise<void> {
  const base = `http://${box.address}:${box.port}`
  stage.say('laptop$ the official SDKs of OpenAI and Anthropic, with this key')
  const program = `${checkout}/sandbox/clients/shared.ts`
  setFaults(box, { tokenDelayMs: 100 })
  const { code, stdout, stderr } = await box.run([node, '--import', 'tsx', program, base, 'qwen3:0.6b', 'tiny-think'], {
    on: box.namespaced ? 'laptop' : 'mac',
    cwd: checkout,
    env: { CLIENT_KEY: key },
  })
  stage.say(`${stdout}${stderr}`.trimEnd())
  if (code !== 0 || !/^openai +three chats at once +2 answered; .*at once/m.test(stdout))
    throw new Error('the SDKs did not see what was promised')
}

async function revoked(stage: Stage, box: Box, key: string): Promise<void> {
  const stream = await openStream(box, longChat(6000), { headers: { authorization: `Bearer ${key}` } })
  await stream.sees('w05')
  stage.say('laptop$ a long answer is under way')
  await told(stage, box, 'keys.ts', 'revoke', person)
  const before = stream.text().length
  await eventually('the answer goes on', () => stream.text().length > before)
  stage.say(`laptop$ it goes on (${stream.text().length - before} bytes came since)`)
  const refused = await openStream(box, longChat(8), { headers: { authorization: `Bearer ${key}` } })
  await refused.ended
  stage.say(`laptop$ the next request with this key: ${refused.status()} ${refused.text()}`)
  stream.hangUp()
  setFaults(box, {})
  if (refused.status() !== 401) throw new Error('the revoked key was still taken')
}
