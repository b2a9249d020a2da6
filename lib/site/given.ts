import { isMap, parseDocument } from 'yaml'
import { exitCodes, Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { withNode } from './nodes-text.ts'
import { readUpstream } from './upstream.ts'

/** A settings file's text, with the nodes that the owner keeps in a file of their own beside it; undefined when there is none. */
export async function settingsText(
  look: Pick<Look, 'home' | 'system' | 'read'>,
  file: string,
): Promise<string | undefined> {
  const text = await look.read(file)
  const { settings, given } = places(look)
  const upstream = given && file === settings ? await look.read(given.nodes) : undefined
  return given === undefined || upstream === undefined ? text : withUpstream(text ?? '', upstream, given.nodes)
}

/** The nodes that settings have; undefined where a text is none to which others can be added, so that whoever reads it says why. */
function nodesIn(text: string): object | undefined {
  const document = parseDocument(text)
  const { contents } = document
  if (document.errors.length > 0 || !(contents === null || isMap(contents))) return undefined
  try {
    const { nodes } = (document.toJS() ?? {}) as { nodes?: unknown }
    return nodes === undefined || nodes === null ? {} : isMap(document.get('nodes')) ? (nodes as object) : undefined
  } catch {
    // An alias that means nothing is met only here.
    return undefined
  }
}

/** The same settings with the servers of an nginx upstream as nodes, but for those that are marked as down. Throws `Stop` (exit 2) with the number of each line that is no server. */
export function withUpstream(text: string, upstream: string, file: string): string {
  const known = nodesIn(text)
  if (known === undefined) return text
  const { nodes, passed } = readUpstream(upstream, Object.keys(known))
  if (passed.length > 0)
    throw new Stop(
      exitCodes.usage,
      [
        `${file} has lines that are no server:`,
        ...passed.map(({ line, why }) => `  line ${line}: ${why}`),
        'Nothing was changed.',
      ].join('\n'),
    )
  return nodes
    .filter(({ down }) => !down)
    .reduce((all, { name, address, port, speed }) => {
      const node = { address, port, ...(speed === undefined ? {} : { speed }) }
      return withNode(all, name, node)
    }, text)
}
