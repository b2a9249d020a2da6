import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { Reply } from './reply.ts'
import { header, type Request } from './request.ts'

const ALLOWED_HEADERS =
  'Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout'

/** OLLAMA_ORIGINS entries that the CORS library takes; another one makes the server panic at start. */
export const badOrigin = (origins: string[]): boolean =>
  origins.some(
    (origin) =>
      !origin.includes('*') &&
      !/^(https?|app|file|tauri|vscode-webview|vscode-file|chrome-extension|moz-extension|safari-extension|ws|wss):\/\//.test(
        origin,
      ),
  )

const fits = (pattern: string, origin: string): boolean => {
  const [before = '', after] = pattern.split('*')
  if (after === undefined) return pattern === origin
  return origin.length >= pattern.length - 1 && origin.startsWith(before) && origin.endsWith(after)
}

/** The CORS step: true when the answer is complete. Runs before the Host check and before routing. */
export const cors = (request: Request, reply: Reply, origins: string[]): boolean => {
  const origin = header(request, 'origin')
  if (origin === '' || origin === `http://${request.host}` || origin === `https://${request.host}`) return false
  const any = origins.includes('*')
  if (!any && !origins.some((pattern) => fits(pattern, origin))) {
    reply.status = 403
    return true
  }
  reply.set('Access-Control-Allow-Origin', any ? '*' : origin)
  if (!any) reply.add('Vary', 'Origin')
  if (request.method !== 'OPTIONS') return false
  reply.set('Access-Control-Allow-Headers', ALLOWED_HEADERS)
  reply.set('Access-Control-Allow-Methods', 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS')
  reply.set('Access-Control-Max-Age', '43200')
  if (!any) reply.add('Vary', 'Access-Control-Request-Method')
  if (!any) reply.add('Vary', 'Access-Control-Request-Headers')
  reply.status = 204
  return true
}

const isPrivate4 = (ip: string): boolean =>
  /^(10\.|192\.168\.|127\.|172\.(1[6-9]|2\d|3[01])\.)/.test(ip) || ip === '0.0.0.0'
const isPrivate6 = (ip: string): boolean => /^f[cd]/i.test(ip) || /^(0*:)*:?0*1?$/.test(ip)
const isOwn = (ip: string): boolean =>
  Object.values(networkInterfaces()).some((rows) => rows?.some((row) => row.address === ip.toLowerCase()))

/** What the Host check makes of a name or address: addresses pass or fail, names may also answer a bare OPTIONS. */
export const hostKind = (host: string): 'address' | 'name' | 'refused' => {
  const split = /^(?:\[([^\]]*)\]|([^:[\]]*)):\d*$/.exec(host)
  const bare = split ? (split[1] ?? split[2] ?? '') : host
  const version = isIP(bare)
  if (version !== 0 && ((version === 4 ? isPrivate4(bare) : isPrivate6(bare)) || isOwn(bare))) return 'address'
  const name = bare.toLowerCase()
  const known = ['', 'localhost', hostname().toLowerCase()].includes(name)
  return version === 0 && (known || /\.(localhost|local|internal)$/.test(name)) ? 'name' : 'refused'
}
