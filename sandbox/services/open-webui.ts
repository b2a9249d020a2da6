import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../box/paths.ts'
import { freePort } from '../lab/gateway.ts'
import { type Serving, serving, type Wanted } from './program.ts'
import { installed } from './python.ts'

export interface OpenWebuiOptions {
  /** a folder of its own for its data */
  folder: string
  /** under which browsers know it */
  url: string
  /** base URL and key of what answers its models */
  engine: string
  key: string
  admin: { email: string; password: string }
  port?: number
  /** its own single sign-on */
  oidc?: { issuer: string; id: string; secret: string; ca: string; domain: string }
  /** more of its environment */
  env?: Record<string, string>
  /** where a provider sends people back; its own address unless told */
  redirect?: string
  /** where it is started; here, on 127.0.0.1, unless told */
  place?: Wanted['place']
}

/** Without what it would fetch from outside: torch, OCR and speech are left out of the list, and telemetry and checks of versions are off. */
const alone = {
  ...{ USE_SLIM_DOCKER: 'true', VECTOR_DB: 'chroma', ENV: 'prod', OFFLINE_MODE: 'true', HF_HUB_OFFLINE: '1' },
  ...{ TRANSFORMERS_OFFLINE: '1', ENABLE_VERSION_UPDATE_CHECK: 'false', ANONYMIZED_TELEMETRY: 'false' },
  ...{ DO_NOT_TRACK: 'true', SCARF_NO_ANALYTICS: 'true', WHISPER_MODEL_AUTO_UPDATE: 'false' },
  ...{ RAG_EMBEDDING_ENGINE: 'openai', BYPASS_EMBEDDING_AND_RETRIEVAL: 'true', ENABLE_OLLAMA_API: 'false' },
}

/** What docs/services.md tells the owner to set. */
const told = ({ url, engine, key, admin }: OpenWebuiOptions) => ({
  ...{ WEBUI_URL: url, CORS_ALLOW_ORIGIN: url, ENABLE_PERSISTENT_CONFIG: 'false' },
  ...{ WEBUI_SESSION_COOKIE_SECURE: 'true', WEBUI_AUTH_COOKIE_SECURE: 'true', FORWARDED_ALLOW_IPS: '127.0.0.1' },
  ...{ OPENAI_API_BASE_URLS: engine, OPENAI_API_KEYS: key, ENABLE_OPENAI_API: 'true' },
  ...{ WEBUI_ADMIN_EMAIL: admin.email, WEBUI_ADMIN_PASSWORD: admin.password, WEBUI_ADMIN_NAME: 'Owner' },
  ...{ ENABLE_SIGNUP: 'false', DEFAULT_USER_ROLE: 'user' },
})

/** What docs/sso.md tells the owner to set. */
const signOn = ({ url, oidc, redirect = `${url}/oauth/oidc/callback` }: OpenWebuiOptions): Record<string, string> =>
  oidc
    ? {
        OPENID_PROVIDER_URL: `${oidc.issuer}/.well-known/openid-configuration`,
        ...{ OAUTH_CLIENT_ID: oidc.id, OAUTH_CLIENT_SECRET: oidc.secret, OAUTH_PROVIDER_NAME: 'Sign-on' },
        ...{ OPENID_REDIRECT_URI: redirect, ENABLE_OAUTH_SIGNUP: 'true' },
        ...{ OAUTH_ALLOWED_DOMAINS: oidc.domain },
        ...{ OAUTH_CODE_CHALLENGE_METHOD: 'S256', SSL_CERT_FILE: oidc.ca, REQUESTS_CA_BUNDLE: oidc.ca },
      }
    : {}

/** The real Open WebUI of PyPI, installed into the cache without what it cannot use here. */
export async function startOpenWebui(options: OpenWebuiOptions): Promise<Serving> {
  const wanted = readFileSync(join(checkout, 'sandbox/services/open-webui.lock.txt'), 'utf8')
  const program = installed({ name: 'open-webui', wanted, whole: true })
  const port = options.port ?? (await freePort('127.0.0.1'))
  mkdirSync(options.folder, { recursive: true })
  return serving({
    argv: [program, 'serve', '--host', options.place?.address ?? '127.0.0.1', '--port', `${port}`],
    env: {
      ...alone,
      ...told(options),
      ...signOn(options),
      ...options.env,
      DATA_DIR: options.folder,
      WEBUI_SECRET_KEY: 'of-a-test',
    },
    ...{ cwd: options.folder, port, health: '/health', withinMs: 480_000 },
    ...(options.place ? { place: options.place } : {}),
  })
}
