import type { Look } from '../../host/host.ts'
import type { Aspect, Said } from '../platform.ts'
import { places } from './places.ts'

const good = (saw: string): Said => ({ is: 'good', saw })
const wanting = (saw: string, help: string): Said => ({ is: 'wanting', saw, help })

const given = ['settings.yaml', 'api_keys.conf', 'upstream_ollama.conf']

async function settings(look: Look): Promise<Said> {
  const at = (name: string) => `${places(look.home).given?.folder}/${name}`
  if (!(await look.stat(at('settings.yaml'))))
    return wanting(
      'there is no config/settings.yaml',
      'In the folder of compose.yaml: cp config/settings.yaml.example config/settings.yaml, then docker compose up -d.',
    )
  const closed = await Promise.all(
    given.map(async (name) => {
      const there = await look.stat(at(name))
      return there && (await look.query(['test', '-r', at(name)])).code !== 0 ? [`config/${name}`] : []
    }),
  )
  const names = closed.flat().join(' ')
  return names === ''
    ? good('config/settings.yaml')
    : wanting(`${names} cannot be read by the container’s user`, `In the folder of compose.yaml: chmod a+r ${names}`)
}

/** What a container must be given; that its logs can be written is seen by templates/container/start. */
export const fitness = (): Aspect[] => [
  { id: 'container.settings', title: 'The owner’s settings are mounted', ask: settings },
]
