import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKey } from '../../lib/people/key.ts'
import { checkout } from '../box/paths.ts'
import { built } from './go.ts'
import { type Serving, serving } from './program.ts'

export interface Oauth2ProxyOptions {
  /** a folder of its own */
  folder: string
  port: number
  /** the page behind it, on 127.0.0.1 */
  upstream: number
  /** where browsers find it, as ORIGIN */
  url: string
  /** the provider of logins */
  issuer: string
  secret: string
  /** file with who signed the provider's certificate */
  ca: string
  env: Record<string, string>
}

/** The file that docs/sso.md gives the owner. */
const told = (): string => {
  const [, text] = /```toml\n([\s\S]*?)```/.exec(readFileSync(join(checkout, 'docs/sso.md'), 'utf8')) ?? []
  if (!text) throw new Error('docs/sso.md has no file for oauth2-proxy any more')
  return text
}

/** That file with the names, ports and paths of a test in place of the owner's; throws where one is not in it. */
function settled({ folder, port, upstream, url, issuer }: Oauth2ProxyOptions): string {
  const places: [string, string][] = [
    ['https://id.example.net/application/o/notes/', issuer],
    ['https://notes.example.net/', `${url}/`],
    ['"id.example.net"', `"${new URL(issuer).host}"`],
    ['127.0.0.1:4180', `127.0.0.1:${port}`],
    ['127.0.0.1:8080', `127.0.0.1:${upstream}`],
    ['/etc/oauth2-proxy/', `${folder}/`],
  ]
  return places.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the file of docs/sso.md says nothing of ${from} any more`)
    return text.replaceAll(from, to)
  }, told())
}

/** The real oauth2-proxy, built from its module, with the file that docs/sso.md gives. */
export async function startOauth2Proxy(options: Oauth2ProxyOptions): Promise<Serving> {
  const program = await built('oauth2-proxy', 'github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6')
  const { folder, port, secret, ca, env } = options
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  mkdirSync(folder, { recursive: true })
  file('client', secret)
  file('cookie', generateKey().slice(-32))
  return serving({
    argv: [program, '--config', file('oauth2-proxy.cfg', settled(options)), '--provider-ca-file', ca],
    ...{ env, cwd: folder, port, health: '/ready', withinMs: 30_000 },
  })
}
