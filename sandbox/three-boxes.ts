import { type Box, createBox } from './box/box.ts'
import { sleepingCard } from './box/card.ts'
import { checkout } from './box/paths.ts'
import { asDevice, asleep, joinTailnet } from './box/tailnet.ts'
import type { Told } from './linux/demo.ts'
import { eventually } from './stories/await.ts'
import { settingsFile } from './stories/installed.ts'

const machines = {
  gate: { ipv4: '100.64.0.1', settings: 'role: gateway\n' },
  mini: { ipv4: '100.64.0.2', settings: "models: ['qwen3:0.6b']\n" },
  studio: { ipv4: '100.64.0.3', settings: "models: ['qwen3:0.6b', 'llama3.2:1b']\n" },
}

type Name = keyof typeof machines
type Boxes = Record<Name, Box>

/** The hardware address of mini's network card. */
const CARD = '02:00:5e:10:00:02'

const quick = { launchd: { throttleMs: 200 }, pmset: { ac: { sleep: 0, autorestart: 1 } } }

async function machine(hostName: Name): Promise<Box> {
  const { ipv4, settings } = machines[hostName]
  const box = await createBox({ preset: 'ready', mac: { ...quick, ...asDevice({ hostName, ipv4 }) } })
  box.write(settingsFile, settings, 0o600)
  return box
}

/** Runs what a person types in the checkout of that machine; shows and gives what it prints. Throws when it ends otherwise than is right. */
async function show({ say }: Told, box: Box, typed: string, right = [0]): Promise<string> {
  const { code, stdout, stderr } = await box.run(['/bin/sh', '-c', typed], { cwd: checkout, timeoutMs: 300_000 })
  say(`${box.state().tailscale.hostName}$ ${typed}\n${stdout}${stderr}`.trimEnd())
  if (!right.includes(code)) throw new Error(`${typed} ended with ${code}`)
  return stdout
}

/** Asks the gateway as a client does; says who answered and which way the question came there. */
async function ask({ say }: Told, { gate }: Boxes, model: string, words: string, wanted: Name): Promise<void> {
  const { status, headers } = await gate.http('laptop', {
    ...{ method: 'POST', path: '/v1/chat/completions' },
    headers: { host: `${gate.address}:${gate.port}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: words }], max_tokens: 8 }),
  })
  const by = headers['x-served-by']
  say(`laptop: “${words}” to ${model} → ${status}, x-served-by: ${by}, x-route: ${headers['x-route']}`)
  if (status !== 200 || by !== wanted) throw new Error(`${by} answered ${status} where ${wanted} should have`)
}

/** The lines that `rop nodes join` prints: for the other machine, and then for this one. */
async function joinLines(told: Told, gate: Box, name: Name): Promise<{ there: string; here: string }> {
  const said = await show(told, gate, `rop nodes join ${name}`)
  const [there = '', here = ''] = said.split('\n').filter((line) => line.startsWith('    '))
  return { there: there.trim(), here: here.trim().replace('ADDRESS', machines[name].ipv4) }
}

/** The state of a node, as `rop nodes` tells it to programs. */
export async function stateOf(gate: Box, name: string): Promise<string | undefined> {
  const { stdout } = await gate.run([`${gate.prefix}/bin/rop`, 'nodes', '--json'])
  return (JSON.parse(stdout) as { name: string; state: string }[]).find((one) => one.name === name)?.state
}

/** Two Macs with engines of their own: both are set up by the gateway's line, one is a node at once, the other one while the gateway serves. */
async function join(told: Told, boxes: Boxes): Promise<void> {
  const { gate, mini, studio } = boxes
  told.heading('two Macs are set up, each by the line that the gateway has for it')
  const lines = { mini: await joinLines(told, gate, 'mini'), studio: await joinLines(told, gate, 'studio') }
  await Promise.all([show(told, mini, lines.mini.there), show(told, studio, lines.studio.there)])
  told.heading('one becomes a node')
  await show(told, gate, `${lines.mini.here} --mac ${CARD}`)
  await ask(told, boxes, 'qwen3:0.6b', 'Who are you?', 'mini')
  told.heading('one joins while the gateway serves, twice as fast and with a further model')
  await show(told, gate, `${lines.studio.here} --speed 2`)
  await show(told, gate, 'rop nodes')
  await ask(told, boxes, 'llama3.2:1b', 'And you?', 'studio')
}

async function drain(told: Told, boxes: Boxes): Promise<void> {
  const { gate } = boxes
  told.heading('one is drained, for work on that machine; a conversation stays where it is')
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'studio')
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'studio')
  await show(told, gate, 'rop nodes drain studio --wait')
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'mini')
  await show(told, gate, 'rop nodes ready studio')
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'mini')
  await ask(told, boxes, 'qwen3:0.6b', 'And what is old?', 'studio')
  await show(told, gate, 'rop nodes why qwen3:0.6b')
}

async function sleep(told: Told, boxes: Boxes): Promise<void> {
  const { gate, mini } = boxes
  told.heading('one falls asleep, and is woken')
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'mini')
  await asleep(mini, true)
  await ask(told, boxes, 'qwen3:0.6b', 'What is new?', 'studio')
  await eventually('mini is seen to be down', async () => (await stateOf(gate, 'mini')) === 'down')
  await show(told, gate, 'rop nodes', [1])
  const card = await sleepingCard(gate)
  await show(told, gate, 'rop nodes wake mini')
  await card.expect(`called: ${CARD}`)
  card.kill()
  await asleep(mini, false)
  await eventually('mini is up again', async () => (await stateOf(gate, 'mini')) === 'up')
  await show(told, gate, 'rop nodes')
}

async function kill(told: Told, boxes: Boxes): Promise<void> {
  told.heading('one loses its power')
  await boxes.studio.close()
  await ask(told, boxes, 'qwen3:0.6b', 'Is anybody there?', 'mini')
  await eventually('studio is seen to be down', async () => (await stateOf(boxes.gate, 'studio')) === 'down')
  await show(told, boxes.gate, 'rop nodes', [1])
  await show(told, boxes.gate, 'rop nodes remove studio')
}

async function cycle(told: Told, boxes: Boxes): Promise<void> {
  const { gate, mini, studio } = boxes
  await joinTailnet(mini, [gate])
  await joinTailnet(studio, [gate, mini])
  told.heading('the gateway, without an engine of its own: no model answers yet (exit code 5)')
  told.say(machines.gate.settings.trimEnd())
  await show(told, gate, './bootstrap.sh --yes', [5])
  await join(told, boxes)
  await drain(told, boxes)
  await sleep(told, boxes)
  await kill(told, boxes)
  told.heading('all of it proven, on the gateway and on the Mac behind it')
  await Promise.all([show(told, gate, 'rop test'), show(told, mini, 'rop status')])
  told.heading('uninstall')
  await Promise.all([show(told, gate, 'rop uninstall --yes'), show(told, mini, 'rop uninstall --yes')])
}

/** Three Macs in boxes on one tailnet: a gateway, and two with engines that join it, are drained, woken and killed. Throws where a step fails. */
export async function threeBoxes(told: Told): Promise<void> {
  told.heading('three Macs in boxes on this machine, on one tailnet')
  const opened = await Promise.allSettled((['gate', 'mini', 'studio'] as const).map(machine))
  const boxes = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  try {
    const [gate, mini, studio] = boxes
    if (!gate || !mini || !studio) throw opened.find((one) => one.status === 'rejected')?.reason
    await cycle(told, { gate, mini, studio })
  } finally {
    await Promise.all(boxes.map((box) => box.close()))
  }
}
