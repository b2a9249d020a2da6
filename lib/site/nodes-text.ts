import { parseDocument, type YAMLMap } from 'yaml'

/** The same settings with this node, or without it where there is nothing of it; comments and everything else stay as they are. */
export function withNode(text: string, name: string, node: Record<string, unknown> | undefined): string {
  const document = parseDocument(text)
  if (node === undefined) document.deleteIn(['nodes', name])
  else {
    const before = document.get('nodes') as YAMLMap | undefined
    // `nodes: {}` stands on one line, and nodes stand each on their own.
    if (!before || before.items.length === 0) document.set('nodes', document.createNode({}))
    document.setIn(['nodes', name], document.createNode(node, { flow: true }))
  }
  return document.toString({ lineWidth: 0 })
}
