import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { npm } from '../clients/fetch.ts'

/** A program that lets a provider's people in. */
export interface ClientOfProvider {
  id: string
  secret: string
  redirect: string
  /** where they may be led when they have signed out */
  after?: string
}

/** A real provider of logins by OpenID Connect, on 127.0.0.1. It asks for the mail address, and for no password. */
export interface Provider {
  port: number
  stop(): Promise<void>
  start(): Promise<void>
}

interface Context {
  path: string
  method: string
  type: string
  body: string
  status: number
  respond: boolean
  req: AsyncIterable<Buffer>
  res: object
  oidc: { client: { clientId: string }; session: { accountId: string; grantIdFor(client: string): string | undefined } }
}
interface Grant {
  addOIDCScope(scope: string): void
  save(): Promise<string>
}
/** As much of oidc-provider as is used here. */
interface Oidc {
  proxy: boolean
  Grant: { new (of: object): Grant; find(id: string): Promise<Grant> }
  use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void
  callback(): RequestListener
  interactionFinished(request: object, response: object, result: object, options: object): Promise<void>
}

const signing = '<form method="post"><input name="login"><button>Sign in</button></form>'
const leave = '<button form="op.logoutForm" name="logout" value="yes">Sign out</button>'

const show = (context: Context, html: string): void =>
  void Object.assign(context, { type: 'html', body: `<!doctype html><title>Logins</title>${html}` })

const settings = (clients: ClientOfProvider[], people: string[], oidc: () => Oidc) => ({
  clients: clients.map(({ id, secret, redirect, after }) => ({
    ...{ client_id: id, client_secret: secret, redirect_uris: [redirect] },
    ...(after === undefined ? {} : { post_logout_redirect_uris: [after] }),
  })),
  cookies: { keys: ['of-a-test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
  conformIdTokenClaims: false,
  findAccount: (_: Context, id: string) =>
    people.includes(id)
      ? { accountId: id, claims: () => ({ sub: id, email: id, email_verified: true, name: id.split('@')[0] }) }
      : undefined,
  // Pages of its own would fetch a font from outside.
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: async (context: Context, form: string) => show(context, `${form}${leave}`),
      postLogoutSuccessSource: async (context: Context) => show(context, '<p>Signed out.</p>'),
    },
  },
  renderError: async (context: Context, out: object) => show(context, `<pre>${JSON.stringify(out)}</pre>`),
  interactions: { url: (_: Context, { uid }: { uid: string }) => `/interaction/${uid}` },
  // Nobody is asked whether a program of the owner's may know who they are.
  loadExistingGrant: async ({ oidc: { client, session } }: Context) => {
    const known = session.grantIdFor(client.clientId)
    if (known) return oidc().Grant.find(known)
    const grant = new (oidc().Grant)({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid email profile')
    await grant.save()
    return grant
  },
})

/** What it has besides its protocol: a first page, and the one on which people say who they are. */
async function own(context: Context, next: () => Promise<void>, signs: () => Promise<void>): Promise<void> {
  if (context.path === '/') show(context, '<p>Logins.</p>')
  else await (context.path.startsWith('/interaction/') ? signs() : next())
}

async function sign(oidc: Oidc, context: Context, people: string[]): Promise<void> {
  if (context.method === 'GET') return show(context, signing)
  let text = ''
  for await (const piece of context.req) text += piece.toString()
  const login = new URLSearchParams(text).get('login') ?? ''
  if (!people.includes(login)) {
    Object.assign(context, { status: 403, body: 'nobody has this address' })
    return
  }
  await oidc.interactionFinished(
    ...([context.req, context.res] as const),
    { login: { accountId: login } },
    { mergeWithLastSubmission: false },
  )
  context.respond = false
}

/** oidc-provider of npm behind a gateway that says by which name it was asked. */
export async function startProvider(
  issuer: string,
  port: number,
  clients: ClientOfProvider[],
  people: string[],
): Promise<Provider> {
  const entry = join(npm(['oidc-provider@9.13.3']), 'node_modules/oidc-provider/lib/index.js')
  const { default: Made } = (await import(pathToFileURL(entry).href)) as {
    default: new (issuer: string, settings: object) => Oidc
  }
  const oidc: Oidc = new Made(
    issuer,
    settings(clients, people, () => oidc),
  )
  oidc.proxy = true
  oidc.use((context, next) => own(context, next, () => sign(oidc, context, people)))
  const server = createServer(oidc.callback())
  const start = async () => void (await once(server.listen(port, '127.0.0.1'), 'listening'))
  await start()
  return {
    ...{ port, start },
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
