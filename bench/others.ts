import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packages } from '../sandbox/box/packages.ts'
import { program } from '../sandbox/box/paths.ts'
import { eventually, freePort } from '../sandbox/lab/gateway.ts'
import { type Children, family } from './processes.ts'
import { key, local, type Target } from './target.ts'

type Other = (programs: Children, engine: number, tls?: Secured) => Promise<Target>

/** What our log line tells, but for the queue and the model, which nginx does not know. */
const logFields = [
  '"time":"$time_iso8601","id":"$request_id","address":"$remote_addr","who":"$who","login":"","device":""',
  '"agent":"$http_user_agent","group":"openai","method":"$request_method","path":"$uri","status":$status,"bytes":$bytes_sent',
  '"firstByteMs":"$upstream_header_time","totalMs":"$request_time","end":"$request_completion","denied":""',
].join(',')

/** A name that a server answers for by TLS, and the files of its certificate. */
export interface Secured {
  name: string
  chain: string
  key: string
}

interface NginxOptions {
  folder: string
  port: number
  /** the inside of nginx's block */
  upstream: string
  /** the Host header that the engine sees */
  host: string
  tls?: Secured
}

/** TLS as ours: both versions, a cache of sessions, and no handshake without the name. */
const nginxTls = ({ chain, key }: Secured, port: number): string => `
  ssl_certificate ${chain}; ssl_certificate_key ${key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:sessions:10m;
  server { listen 127.0.0.1:${port} ssl default_server; ssl_reject_handshake on; }`

/**
 * What nginx can do of the same: 1,000 keys with names, a rate and an at-once limit for each, a JSON line of the same fields for each
 * request, an id in the answer, open paths alone, and only the headers that we let through. Keys stand there as they are, not hashed.
 */
const nginxText = ({ folder, port, upstream, host, tls }: NginxOptions): string => `
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
worker_processes 2;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  log_format line escape=json '{${logFields}}';
  access_log ${folder}/access.log line;
  client_max_body_size 32m; client_body_buffer_size 128k; keepalive_requests 1000000;
  map_hash_bucket_size 128;
  map $http_authorization $who { default ""; "Bearer ${key}" asker; ${Array.from({ length: 999 }, (_, at) => `"Bearer rop_${at}" key-${at};`).join(' ')} }
  limit_req_zone $who zone=rate:10m rate=1000000r/s;
  limit_conn_zone $who zone=most:10m;
  upstream ollama { ${upstream} }
  ${tls ? nginxTls(tls, port) : ''}
  server {
    listen 127.0.0.1:${port}${tls ? ` ssl; server_name ${tls.name}` : ''};
    location / { return 403; }
    location = /v1/chat/completions {
      if ($who = "") { return 401; }
      limit_req zone=rate burst=100000 nodelay; limit_conn most 10000;
      add_header x-request-id $request_id;
      proxy_pass_request_headers off;
      proxy_set_header Host ${host}; proxy_set_header Connection "";
      proxy_set_header Content-Type $content_type; proxy_set_header Accept $http_accept; proxy_set_header User-Agent $http_user_agent;
      proxy_pass http://ollama; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 300s;
    }
  }
}
`

/** The nginx that does the same. */
export const nginxLikeUs = 'nginx, the same'

/** Starts one in a folder of its own. */
async function startNginx(
  programs: Children,
  name: string,
  { upstream, host, tls }: Pick<NginxOptions, 'upstream' | 'host' | 'tls'>,
): Promise<Target> {
  const { bin, libraryPath } = await packages(['nginx-light'])
  const port = await freePort('127.0.0.1')
  const folder = mkdtempSync(join(programs.folder, 'nginx-'))
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, nginxText({ folder, port, upstream, host, tls }))
  const argv = [bin('nginx'), '-p', folder, '-c', file, '-e', join(folder, 'error.log'), '-g', 'daemon off;']
  return local(name, port, programs.start(argv, { LD_LIBRARY_PATH: libraryPath }), overTls(port, tls))
}

const overTls = (port: number, tls?: Secured): Partial<Target> =>
  tls ? { tls: tls.name, host: `${tls.name}:${port}` } : {}

const kept = 'keepalive 64; keepalive_requests 1000000;'

const nginx: Other = (programs, engine, tls) =>
  startNginx(programs, nginxLikeUs, {
    upstream: `server 127.0.0.1:${engine}; ${kept}`,
    host: `127.0.0.1:${engine}`,
    tls,
  })

/** What stands before several engines at once, and answers; the same nginx gives each request to the one that has the fewest. It knows no models. */
export async function spreading(programs: Children, engines: number[]): Promise<Target[]> {
  const servers = `least_conn; ${engines.map((engine) => `server 127.0.0.1:${engine};`).join(' ')}`
  const started = [
    await startNginx(programs, `nginx, the same, least_conn over ${engines.length}`, {
      upstream: servers,
      host: 'ollama',
    }),
    await startNginx(programs, 'the same, connections kept', { upstream: `${servers} ${kept}`, host: 'ollama' }),
  ]
  for (const { name, port } of started)
    await eventually(`${name} listens`, async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 403)
  return started.map((target) => ({ ...target, pids: target.pids.flatMap(family) }))
}

const caddy: Other = async (programs, engine, tls) => {
  const { bin, libraryPath } = await packages(['caddy'])
  const port = await freePort('127.0.0.1')
  const file = join(mkdtempSync(join(programs.folder, 'caddy-')), 'Caddyfile')
  const site = tls ? `https://${tls.name}` : 'http://'
  const own = tls ? `\n  tls ${tls.chain} ${tls.key}` : ''
  writeFileSync(
    file,
    `{\n  admin off\n  auto_https off\n}\n${site}:${port} {\n  bind 127.0.0.1${own}\n  @known header Authorization "Bearer ${key}"\n  handle @known {\n    reverse_proxy 127.0.0.1:${engine} {\n      flush_interval -1\n    }\n  }\n  respond 401\n}\n`,
  )
  return local(
    'Caddy, 1 key',
    port,
    programs.start([bin('caddy'), 'run', '--config', file], { LD_LIBRARY_PATH: libraryPath }),
    overTls(port, tls),
  )
}

/** A program on the PATH, or where the environment says it is. */
function wanted(name: string, variable: string): string {
  const path = process.env[variable] ?? program(name)
  if (path && existsSync(path)) return path
  throw new Error(`not on the PATH (${variable} names another place)`)
}

const olla: Other = async (programs, engine) => {
  const file = wanted('olla', 'OLLA')
  const port = await freePort('127.0.0.1')
  const config = join(programs.folder, 'olla.yaml')
  writeFileSync(
    config,
    `server: { host: 127.0.0.1, port: ${port}, request_logging: false, rate_limits: { global_requests_per_minute: 0, per_ip_requests_per_minute: 0 } }\nproxy: { engine: olla, profile: streaming, load_balancer: priority }\ndiscovery:\n  type: static\n  static:\n    endpoints:\n      - { url: "http://127.0.0.1:${engine}", name: engine, type: ollama, priority: 100, model_url: /api/tags, health_check_url: /, check_interval: 5s, check_timeout: 2s }\nlogging: { level: error }\n`,
  )
  const pid = programs.start([file, '--config', config], { OLLA_CONFIG_FILE: config })
  return local('olla, no keys', port, pid, { path: '/olla/proxy/v1/chat/completions' })
}

const litellm: Other = async (programs, engine) => {
  const file = wanted('litellm', 'LITELLM')
  const port = await freePort('127.0.0.1')
  const config = join(programs.folder, 'litellm.yaml')
  writeFileSync(
    config,
    `model_list:\n  - model_name: "qwen3:0.6b"\n    litellm_params: { model: "openai/qwen3:0.6b", api_base: "http://127.0.0.1:${engine}/v1", api_key: none }\ngeneral_settings: { master_key: "${key}" }\n`,
  )
  mkdirSync(join(programs.folder, 'litellm'), { recursive: true })
  const argv = [file, '--config', config, '--host', '127.0.0.1', '--port', `${port}`]
  return local('LiteLLM, 1 key', port, programs.start(argv, { LITELLM_LOCAL_MODEL_COST_MAP: 'True' }), { slow: true })
}

/** nginx and Caddy, in clear and over TLS, and which could not be had. */
export async function othersByTls(programs: Children, engine: number, tls: Secured) {
  const inClear = await started({ nginx, Caddy: caddy }, programs, engine)
  const secured = await started({ nginx, Caddy: caddy }, programs, engine, tls)
  return { inClear, secured }
}

/** Other gateways with the same engine behind them: nginx and Caddy from the distribution's packages, the rest where it is installed. */
export const others = (programs: Children, engine: number) =>
  started({ nginx, Caddy: caddy, olla, LiteLLM: litellm }, programs, engine)

async function started(
  wanted: Record<string, Other>,
  programs: Children,
  engine: number,
  tls?: Secured,
): Promise<{ found: Target[]; missing: string[] }> {
  const found: Target[] = []
  const missing: string[] = []
  for (const [name, start] of Object.entries(wanted)) {
    try {
      found.push(await start(programs, engine, tls))
    } catch (error) {
      missing.push(`${name}: ${(error as Error).message}`)
    }
  }
  return { found, missing }
}
