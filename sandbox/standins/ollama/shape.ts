import { GoJsonError, type Node, plain } from './gojson.ts'

/** What a Go struct field accepts. `make` is a type with its own UnmarshalJSON: it may throw its own words. */
export type Shape =
  | { is: 'string' | 'bool' | 'int' | 'float' | 'any' | 'node' | 'map' }
  | { is: 'make'; from: (node: Node) => unknown }
  | { is: 'list'; of: Shape; go: string }
  | Struct
export interface Struct {
  is: 'struct'
  go: string
  fields: Record<string, Shape>
}

export type Fields = Record<string, unknown>

export const STRING: Shape = { is: 'string' }
export const BOOL: Shape = { is: 'bool' }
export const INT: Shape = { is: 'int' }
export const FLOAT: Shape = { is: 'float' }
export const ANY: Shape = { is: 'any' }
export const NODE: Shape = { is: 'node' }
export const MAP: Shape = { is: 'map' }
export const list = (of: Shape, go: string): Shape => ({ is: 'list', of, go })
export const struct = (go: string, fields: Record<string, Shape>): Struct => ({ is: 'struct', go, fields })

/** A key as Go compares it when no field has exactly that name: folded beyond ASCII, so that `ſ` is `s`. */
const fold = (key: string): string =>
  [...key]
    .map((char) => (char.toLowerCase().toUpperCase().length === char.length ? char.toLowerCase().toUpperCase() : char))
    .join('')

const fieldOf = (shape: Struct, key: string): string | undefined => {
  if (Object.hasOwn(shape.fields, key)) return key
  const folded = fold(key)
  return Object.keys(shape.fields).find((name) => fold(name) === folded)
}

const GO_NAMES: Record<string, string> = {
  string: 'string',
  bool: 'bool',
  int: 'int',
  float: 'float64',
  map: 'map[string]interface {}',
}
const goName = (shape: Shape): string => {
  if (shape.is === 'list' || shape.is === 'struct') return shape.go
  return GO_NAMES[shape.is] ?? 'interface {}'
}

/** Collects the first type mismatch, as Go does: it goes on decoding and reports at the end. */
interface Binding {
  root: Struct
  mismatch?: string
}

const complain = (binding: Binding, found: string, path: string, shape: Shape): undefined => {
  const where = path ? `Go struct field ${binding.root.go.replace(/^.*\./, '')}.${path}` : 'Go value'
  binding.mismatch ??= `json: cannot unmarshal ${found} into ${where} of type ${goName(shape)}`
}

const scalar = (binding: Binding, node: Node, shape: Shape, path: string): unknown => {
  if (node.type === 'string' && shape.is === 'string') return node.text
  if (node.type === 'bool' && shape.is === 'bool') return node.yes
  if (node.type === 'number' && shape.is === 'float') return Number(node.text)
  if (node.type === 'number' && shape.is === 'int') {
    return /^-?\d+$/.test(node.text) ? Number(node.text) : complain(binding, `number ${node.text}`, path, shape)
  }
  return complain(binding, node.type, path, shape)
}

const bindStruct = (binding: Binding, node: Node, shape: Struct, path: string, into: Fields): Fields | undefined => {
  if (node.type !== 'object') return complain(binding, node.type, path, shape)
  for (const [key, value] of node.pairs) {
    const name = fieldOf(shape, key)
    const field = name === undefined ? undefined : shape.fields[name]
    if (name === undefined || field === undefined || value.type === 'null') continue
    const bound = bindNode(binding, value, field, path ? `${path}.${name}` : name, into[name])
    if (bound !== undefined) into[name] = bound
  }
  return into
}

const bindNode = (binding: Binding, node: Node, shape: Shape, path: string, before?: unknown): unknown => {
  if (shape.is === 'any') return plain(node)
  if (shape.is === 'node') return node
  if (shape.is === 'make') return shape.from(node)
  if (shape.is === 'map') return node.type === 'object' ? plain(node) : complain(binding, node.type, path, shape)
  if (shape.is === 'list') {
    if (node.type !== 'array') return complain(binding, node.type, path, shape)
    return node.items.map((item) => (item.type === 'null' ? {} : bindNode(binding, item, shape.of, path)))
  }
  if (shape.is === 'struct') return bindStruct(binding, node, shape, path, isFields(before) ? before : {})
  return scalar(binding, node, shape, path)
}

/** Fills a Go struct from a parsed body: last key wins, keys fold, null changes nothing; throws Go's words on a mismatch. */
export const bind = (node: Node, shape: Struct): Fields => {
  const binding: Binding = { root: shape }
  const out: Fields = {}
  if (node.type !== 'null') bindStruct(binding, node, shape, '', out)
  if (binding.mismatch) throw new GoJsonError(binding.mismatch)
  return out
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
export const text = (value: unknown): string => (typeof value === 'string' ? value : '')
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
export const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
export const isNode = (value: unknown): value is Node =>
  isFields(value) && typeof value.type === 'string' && typeof value.from === 'number'
