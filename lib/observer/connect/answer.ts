import type { Look } from '../../host/host.ts'
import type { Asking, Said } from '../../host/serve.ts'
import { together } from '../../nodes/lists.ts'
import { meant } from '../../people/lists.ts'
import { listedNow } from '../../people/store.ts'
import { platformOf } from '../../platform/here.ts'
import { tags } from '../../site/models.ts'
import { spreads } from '../../site/nodes.ts'
import { contextLength, type Settings } from '../../site/settings.ts'
import { headers } from './look.ts'
import { page } from './page.ts'
import { seesModels, type Visit, visitOf } from './visit.ts'

/** The models that somebody may use, as Ollama has them; undefined when it does not answer. A list that is not known is an empty one. */
async function modelsFor(look: Look, settings: Settings, { who, listed }: Visit): Promise<string[] | undefined> {
  const own = listed ? ((await listedNow(look)).find(({ name }) => name === who)?.models ?? []) : ['**']
  const installed = spreads(settings)
    ? (await together(look, settings)).v1.data.map(({ id }) => ({ name: id }))
    : await tags(look, '127.0.0.1', settings.engine.port)
  return installed?.map(({ name }) => name).filter((name) => meant(name, own))
}

/** The one that is asked for, else the first that is loaded at login, else the first there is. */
function chosen(target: string, models: string[], settled: string[]): string {
  const asked = new URLSearchParams(target.split('?')[1]).get('model')
  const wanted = [asked, ...settled].find((name) => name !== null && models.includes(name))
  return wanted ?? models[0] ?? ''
}

/** The page for whoever the gateway says is asking; 404 where it does not say. */
export async function connectAnswer(look: Look, settings: Settings, { target, header }: Asking): Promise<Said> {
  const visit = visitOf(header('x-visitor'))
  if (!visit) return { status: 404, text: '{}' }
  const models = seesModels(visit) ? await modelsFor(look, settings, visit) : []
  const memory = await platformOf(look).facts.memory(look)
  const model = chosen(target, models ?? [], settings.models)
  const text = page({ visit, models, model, context: contextLength(settings, memory) })
  return { status: 200, text, headers }
}
