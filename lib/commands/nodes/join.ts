import { exitCodes, Stop } from '../../host/command.ts'
import { typed } from '../../host/typed.ts'
import { generateKey, hashKey } from '../../people/key.ts'
import { places } from '../../platform/here.ts'
import { nodeName } from '../../site/nodes.ts'
import { tilde } from '../../steps/resources.ts'
import type { Call } from './change.ts'

/** rop nodes join: a line for another machine, which becomes a server whose gateway knows this one. The key stays here; the line carries its hash. */
export async function join({ ui, host, names, settings }: Call): Promise<number> {
  const [name, ...more] = names
  const fault = nodeName.safeParse(name ?? '').error?.issues[0]?.message
  if (name === undefined || more.length > 0 || fault !== undefined)
    throw new Stop(exitCodes.usage, `The other machine needs ${fault ?? 'one name'}: ${typed('nodes')} join NAME`)
  if (Object.hasOwn(settings.nodes, name))
    throw new Stop(exitCodes.usage, `There is a node ${name} already. Nothing was changed.`)
  const file = `${places(host).settingsFolder}/nodes/${name}.key`
  const key = (await host.read(file))?.trim() || generateKey()
  await host.write(file, `${key}\n`, 0o600)
  const line = `./bootstrap.sh --yes && echo '${JSON.stringify(registryOf(key))}' | rop keys import -`
  const next = `${typed('nodes')} add ${name} ADDRESS --engine gateway --key file:${tilde(host, file)}`
  if (ui.json) process.stdout.write(`${JSON.stringify({ name, line, next, key: file }, null, 2)}\n`)
  else
    ui.say(
      `On the other machine, in its checkout:\n    ${line}\n${keysThere}\nThen here, with its tailnet address:\n    ${next}`,
    )
  return exitCodes.done
}

/** Until then it answers every device that the tailnet lets through to it. */
const keysThere = 'To have it answer nobody but this gateway, put access: keys into settings.yaml there.'

/** An export of keys, as the other machine imports it. */
const registryOf = (key: string): object => ({
  version: 1,
  keys: { 'the-gateway': { created: new Date().toISOString(), hashes: [{ sha256: hashKey(key) }], note: 'for nodes' } },
})
