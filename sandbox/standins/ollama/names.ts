/** A model's name in its four parts, as Ollama completes what a client wrote. */
export interface ModelName {
  host: string
  namespace: string
  model: string
  tag: string
}

const PART = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/

/** Splits `host/namespace/model:tag`; a scheme in front is dropped, missing parts get Ollama's defaults. */
export const parseName = (written: string): ModelName | undefined => {
  const rest = written.replace(/^https?:\/\//, '')
  const parts = rest.split('/')
  const last = parts.pop() ?? ''
  const [model = '', tag = 'latest', ...more] = last.split(':')
  const namespace = parts.pop() ?? 'library'
  const host = parts.join('/') || 'registry.ollama.ai'
  const valid = more.length === 0 && PART.test(model) && PART.test(tag) && PART.test(namespace)
  return valid && /^[A-Za-z0-9_.:-]+$/.test(host) ? { host, namespace, model, tag } : undefined
}

/** The name as lists show it: default host and namespace left out. */
export const shortName = (name: ModelName): string => {
  const host = name.host === 'registry.ollama.ai' ? '' : `${name.host}/`
  const namespace = host === '' && name.namespace === 'library' ? '' : `${name.namespace}/`
  return `${host}${namespace}${name.model}:${name.tag}`
}

/** All four parts, as some refusals print them. */
export const fullName = (name: ModelName): string => `${name.host}/${name.namespace}/${name.model}:${name.tag}`

/** A name of a model that runs in Ollama's cloud: `…:cloud` or a tag ending in `-cloud`. */
export const isCloudName = (written: string): boolean => {
  const tag = written.split('/').pop()?.split(':')[1] ?? ''
  return tag === 'cloud' || tag.endsWith('-cloud')
}
