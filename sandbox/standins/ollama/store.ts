import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fullName, type ModelName, parseName, shortName } from './names.ts'

interface Layer {
  mediaType: string
  digest: string
  size: number
}
interface Manifest {
  schemaVersion: number
  mediaType: string
  config: Layer
  layers: Layer[]
}
interface Config {
  model_format: string
  model_family: string
  model_families: string[]
  model_type: string
  file_type: string
}

/** A model on disk, read from its manifest and blobs. */
export interface Model {
  name: ModelName
  short: string
  full: string
  /** SHA-256 of the manifest, as lists show it. */
  digest: string
  size: number
  /** since 1970, of the manifest */
  modifiedNs: bigint
  /** Digest of the weights; models that share it share a runner. */
  weights: string
  weightsPath: string
  config: Config
  template: string
  system: string
  license: string
  parameters: Record<string, unknown>
}

export interface NewModel {
  config: Config
  /** Digest as the registry calls the weights, their pretended size, and the small content that stands for them. */
  weights: { digest?: string; size: number; content: string }
  template?: string
  system?: string
  license?: string
  parameters?: Record<string, unknown>
}

const TYPE = 'application/vnd.ollama.image.'
const sha256 = (content: string | Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

/** Models in Ollama's own layout: `manifests/HOST/NAMESPACE/MODEL/TAG` and `blobs/sha256-…`. */
export class Store {
  readonly folder: string
  constructor(folder: string) {
    this.folder = folder
  }

  blobPath(digest: string): string {
    return join(this.folder, 'blobs', digest.replace(':', '-'))
  }

  manifestPath(name: ModelName): string {
    return join(this.folder, 'manifests', name.host, name.namespace, name.model, name.tag)
  }

  hasBlob(digest: string): boolean {
    return existsSync(this.blobPath(digest))
  }

  writeBlob(content: string | Buffer, digest = sha256(content)): string {
    mkdirSync(join(this.folder, 'blobs'), { recursive: true })
    if (!this.hasBlob(digest)) writeFileSync(this.blobPath(digest), content)
    return digest
  }

  /** The model that a client's spelling means: letter case does not count. */
  find(written: string): Model | undefined {
    const name = parseName(written)
    if (!name) return undefined
    if (existsSync(this.manifestPath(name))) return this.read(name)
    const wanted = fullName(name).toLowerCase()
    return this.list().find((model) => model.full.toLowerCase() === wanted)
  }

  /** Every model, the newest first. */
  list(): Model[] {
    const root = join(this.folder, 'manifests')
    if (!existsSync(root)) return []
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const names = files.map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .split('/'),
    )
    const models = names.flatMap((parts) => {
      const tag = parts.pop() ?? ''
      const name = parseName(`${parts.join('/')}:${tag}`)
      return name ? [this.read(name)] : []
    })
    return models.filter((model) => model !== undefined).sort((a, b) => Number(b.modifiedNs - a.modifiedNs))
  }

  private read(name: ModelName): Model | undefined {
    const path = this.manifestPath(name)
    const raw = readFileSync(path)
    const manifest = parseManifest(raw)
    if (!manifest) return undefined
    const digestOf = (kind: string) => manifest.layers.find((layer) => layer.mediaType === TYPE + kind)?.digest
    const read = (digest: string | undefined) =>
      digest && this.hasBlob(digest) ? readFileSync(this.blobPath(digest), 'utf8') : ''
    const weights = digestOf('model') ?? ''
    return {
      name,
      short: shortName(name),
      full: fullName(name),
      digest: sha256(raw).slice(7),
      size: manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size),
      modifiedNs: statSync(path, { bigint: true }).mtimeNs,
      weights,
      weightsPath: this.blobPath(weights),
      config: parseConfig(read(manifest.config.digest)),
      template: read(digestOf('template')) || '{{ .Prompt }}',
      system: read(digestOf('system')),
      license: read(digestOf('license')),
      parameters: JSON.parse(read(digestOf('params')) || '{}') as Record<string, unknown>,
    }
  }

  /** Writes blobs first and the manifest last, as a pull does. */
  add(name: ModelName, model: NewModel): void {
    const layer = (kind: string, content: string | undefined): Layer[] =>
      content ? [{ mediaType: TYPE + kind, digest: this.writeBlob(content), size: Buffer.byteLength(content) }] : []
    const weights = { digest: this.writeBlob(model.weights.content, model.weights.digest), size: model.weights.size }
    const layers = [
      { mediaType: `${TYPE}model`, ...weights },
      ...layer('template', model.template),
      ...layer('license', model.license),
      ...layer('system', model.system),
      ...layer('params', model.parameters && JSON.stringify(model.parameters)),
    ]
    const config = JSON.stringify({
      ...model.config,
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    })
    this.writeManifest(name, {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        digest: this.writeBlob(config),
        size: Buffer.byteLength(config),
      },
      layers,
    })
  }

  private writeManifest(name: ModelName, manifest: Manifest): void {
    const path = this.manifestPath(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(`${path}.tmp`, JSON.stringify(manifest))
    renameSync(`${path}.tmp`, path)
  }

  copy(model: Model, to: ModelName): void {
    const path = this.manifestPath(to)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, readFileSync(this.manifestPath(model.name)))
  }

  /** Removes a manifest, the blobs that no other manifest uses, and folders left empty. */
  remove(model: Model): void {
    const path = this.manifestPath(model.name)
    const mine = blobsOf(readFileSync(path))
    rmSync(path)
    const used = new Set(this.list().flatMap((other) => blobsOf(readFileSync(this.manifestPath(other.name)))))
    for (const digest of mine) if (!used.has(digest)) rmSync(this.blobPath(digest), { force: true })
    let folder = dirname(path)
    while (folder !== join(this.folder, 'manifests') && readdirSync(folder).length === 0) {
      rmSync(folder, { recursive: true })
      folder = dirname(folder)
    }
  }
}

const parseManifest = (raw: Buffer): Manifest | undefined => {
  try {
    return JSON.parse(raw.toString('utf8')) as Manifest
  } catch {
    return undefined
  }
}

const blobsOf = (raw: Buffer): string[] => {
  const manifest = parseManifest(raw)
  return manifest ? [manifest.config, ...manifest.layers].map(({ digest }) => digest) : []
}

const parseConfig = (raw: string): Config => {
  const none = { model_format: '', model_family: '', model_families: [], model_type: '', file_type: '' }
  return raw ? { ...none, ...(JSON.parse(raw) as Config) } : none
}
