import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePort } from '../lab/gateway.ts'
import { type Serving, serving } from './program.ts'
import { installed } from './python.ts'

export interface LitellmOptions {
  /** a folder of its own */
  folder: string
  masterKey: string
  /** model by the name of callers -> base URL of what speaks OpenAI's way */
  models: Record<string, string>
}

/** The newest whose parts are all on PyPI. */
const wanted = 'litellm[proxy]==1.108.7\n'

/** The real LiteLLM proxy of PyPI, without a database. */
export async function startLitellm({ folder, masterKey, models }: LitellmOptions): Promise<Serving> {
  const program = installed({ name: 'litellm', wanted, whole: false })
  const port = await freePort('127.0.0.1')
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'config.yaml')
  const list = Object.entries(models).map(([name, base]) => ({
    model_name: name,
    litellm_params: { model: `openai/${name}`, api_base: base, api_key: 'of-the-engine' },
  }))
  writeFileSync(config, stringify({ model_list: list }), { mode: 0o600 })
  return serving({
    argv: [program, '--config', config, '--host', '127.0.0.1', '--port', `${port}`, '--telemetry', 'False'],
    env: {
      ...{ LITELLM_MASTER_KEY: masterKey, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_MODE: 'PRODUCTION' },
      ...{ NO_DOCS: 'True', NO_REDOC: 'True', DISABLE_ADMIN_UI: 'True' },
    },
    ...{ cwd: folder, port, health: '/health/liveliness', withinMs: 480_000 },
  })
}
