import { exitCodes, Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import type { Node } from '../site/nodes.ts'
import type { Means } from './ask.ts'

/** A file that settings name, from the root on. */
export const pathOf = (look: Pick<Look, 'home'>, file: string): string =>
  file.replace(/^file:/, '').replace(/^~(?=\/)/, look.home)

/** What stands between a gateway and the key of one of its nodes or services, as a sentence; undefined where nothing does. */
export async function keyFault(
  look: Look,
  { name, key }: Pick<Node, 'name' | 'key'>,
  what = 'node',
): Promise<string | undefined> {
  if (key === undefined) return undefined
  const file = pathOf(look, key)
  const [facts, text] = [await look.stat(file), await look.read(file)]
  if (!facts || text === undefined) return `the key of the ${what} ${name} is not there: ${file}`
  if ((facts.mode & 0o077) !== 0) return `others may read the key of the ${what} ${name}: ${file} (chmod 600 ends that)`
  if (!/^[\x21-\x7e]{1,500}$/.test(text.trim()))
    return `${file} holds no key for the ${what} ${name}: one line, without blanks`
  return undefined
}

/** The key of a node, and who signs its certificate. Throws `Stop` (exit 3) where either cannot be had. */
export async function meansOf(look: Look, node: Node): Promise<Means> {
  const fault = (await keyFault(look, node)) ?? (await rootsFault(look, node))
  if (fault !== undefined) throw new Stop(exitCodes.precondition, `${fault[0]?.toUpperCase()}${fault.slice(1)}.`)
  return {
    ...(node.key === undefined ? {} : { key: ((await look.read(pathOf(look, node.key))) ?? '').trim() }),
    ...(node.tls === undefined ? {} : { roots: await look.read(pathOf(look, node.tls)) }),
  }
}

/** The same of the authority's certificate. */
export async function rootsFault(look: Look, { name, tls }: Node): Promise<string | undefined> {
  if (tls === undefined) return undefined
  const text = await look.read(pathOf(look, tls))
  if (text === undefined) return `the authority that signs for the node ${name} is not there: ${pathOf(look, tls)}`
  return text.includes('-----BEGIN CERTIFICATE-----')
    ? undefined
    : `${pathOf(look, tls)} holds no certificate (PEM) for the node ${name}`
}
