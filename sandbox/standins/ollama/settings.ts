import { isIP } from 'node:net'
import { join } from 'node:path'

/** What the environment tells the server, with Ollama 0.24's defaults. */
export interface Settings {
  host: string
  port: number
  /** OLLAMA_HOST as the client uses it. */
  url: string
  path: string
  models: string
  /** Milliseconds; Infinity for a negative value. */
  keepAliveMs: number
  parallel: number
  maxQueue: number
  maxLoaded: number
  contextLength: number
  origins: string[]
  noCloud: boolean
}

type Env = Record<string, string | undefined>
const get = (env: Env, name: string): string =>
  (env[name] ?? '')
    .trim()
    .replace(/^["']|["']$/g, '')
    .trim()
const whole = (value: string, otherwise: number): number => (/^\d+$/.test(value) ? Number(value) : otherwise)

/** OLLAMA_HOST as envconfig.Host reads it: no scheme means port 11434, `http://` means 80, `https://` 443. */
export const parseHost = (value: string): { scheme: string; host: string; port: number; path: string } => {
  const cut = /^(?:([^:/]+):\/\/)?([^/]*)(\/.*)?$/.exec(value.trim())
  const scheme = cut?.[1] ?? 'http'
  const usual = cut?.[1] === 'http' ? 80 : cut?.[1] === 'https' ? 443 : 11434
  const place = cut?.[2] ?? ''
  const split = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(place)
  const bare = place.replace(/^\[|\]$/g, '')
  const host = split ? (split[1] ?? split[2] ?? '') : bare || '127.0.0.1'
  const port = split ? whole(split[3] ?? '', usual) : usual
  return { scheme, host, port: port > 65535 ? usual : port, path: cut?.[3] ?? '' }
}

const UNITS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A Go duration in milliseconds ("1h30m", "300ms", "0"), or undefined. */
export const parseDuration = (value: string): number | undefined => {
  const sign = value.startsWith('-') ? -1 : 1
  const rest = value.replace(/^[+-]/, '')
  if (rest === '0') return 0
  const parts = [...rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== rest) return undefined
  return sign * parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0)
}

/** OLLAMA_KEEP_ALIVE: a duration or seconds; below zero is for ever. */
const keepAlive = (value: string): number => {
  const ms = /^-?\d+$/.test(value) ? Number(value) * 1000 : (parseDuration(value) ?? 300_000)
  return ms < 0 ? Number.POSITIVE_INFINITY : ms
}

const LOCAL = ['localhost', '127.0.0.1', '0.0.0.0'].flatMap((host) =>
  ['', ':*'].flatMap((port) => [`http://${host}${port}`, `https://${host}${port}`]),
)
const SCHEMES = ['app://*', 'file://*', 'tauri://*', 'vscode-webview://*', 'vscode-file://*']

export const readSettings = (env: Env, home: string): Settings => {
  const { scheme, host, port, path } = parseHost(get(env, 'OLLAMA_HOST'))
  const origins = get(env, 'OLLAMA_ORIGINS')
  const cloud = get(env, 'OLLAMA_NO_CLOUD')
  return {
    host,
    port,
    path,
    url: `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
    models: get(env, 'OLLAMA_MODELS') || join(home, '.ollama', 'models'),
    keepAliveMs: get(env, 'OLLAMA_KEEP_ALIVE') ? keepAlive(get(env, 'OLLAMA_KEEP_ALIVE')) : 300_000,
    parallel: whole(get(env, 'OLLAMA_NUM_PARALLEL'), 1) || 1,
    maxQueue: whole(get(env, 'OLLAMA_MAX_QUEUE'), 512),
    maxLoaded: whole(get(env, 'OLLAMA_MAX_LOADED_MODELS'), 0),
    contextLength: whole(get(env, 'OLLAMA_CONTEXT_LENGTH'), 0),
    origins: [...(origins ? origins.split(',') : []), ...LOCAL, ...SCHEMES],
    noCloud: cloud !== '' && !/^(0|f|false)$/i.test(cloud),
  }
}

const goDuration = (ms: number): string => {
  if (ms === Number.POSITIVE_INFINITY) return '2562047h47m16.854775807s'
  const [h, m, s] = [Math.floor(ms / 3_600_000), Math.floor((ms % 3_600_000) / 60_000), (ms % 60_000) / 1000]
  return `${h ? `${h}h` : ''}${h || m ? `${m}m` : ''}${s}s`
}

/** The `env="map[…]"` of the log line `server config`: every variable, in order, as a Mac's build lists them. */
export const envMap = (settings: Settings, env: Env): string => {
  const rows: Record<string, string | number | boolean> = {
    HTTPS_PROXY: get(env, 'HTTPS_PROXY'),
    HTTP_PROXY: get(env, 'HTTP_PROXY'),
    NO_PROXY: get(env, 'NO_PROXY'),
    OLLAMA_CONTEXT_LENGTH: settings.contextLength,
    OLLAMA_DEBUG: get(env, 'OLLAMA_DEBUG') ? 'DEBUG' : 'INFO',
    OLLAMA_FLASH_ATTENTION: ['1', 'true'].includes(get(env, 'OLLAMA_FLASH_ATTENTION')),
    OLLAMA_GPU_OVERHEAD: 0,
    OLLAMA_HOST: settings.url,
    OLLAMA_KEEP_ALIVE: goDuration(settings.keepAliveMs),
    OLLAMA_KV_CACHE_TYPE: get(env, 'OLLAMA_KV_CACHE_TYPE'),
    OLLAMA_LLM_LIBRARY: '',
    OLLAMA_LOAD_TIMEOUT: get(env, 'OLLAMA_LOAD_TIMEOUT') || '5m0s',
    OLLAMA_MAX_LOADED_MODELS: settings.maxLoaded,
    OLLAMA_MAX_QUEUE: settings.maxQueue,
    OLLAMA_MODELS: settings.models,
    OLLAMA_MULTIUSER_CACHE: false,
    OLLAMA_NEW_ENGINE: false,
    OLLAMA_NOHISTORY: false,
    OLLAMA_NOPRUNE: ['1', 'true'].includes(get(env, 'OLLAMA_NOPRUNE')),
    OLLAMA_NO_CLOUD: settings.noCloud,
    OLLAMA_NUM_PARALLEL: settings.parallel,
    OLLAMA_ORIGINS: `[${settings.origins.join(' ')}]`,
    OLLAMA_REMOTES: '[ollama.com]',
    OLLAMA_SCHED_SPREAD: false,
    http_proxy: get(env, 'http_proxy'),
    https_proxy: get(env, 'https_proxy'),
    no_proxy: get(env, 'no_proxy'),
  }
  return `map[${Object.entries(rows)
    .map(([key, value]) => `${key}:${value}`)
    .join(' ')}]`
}
