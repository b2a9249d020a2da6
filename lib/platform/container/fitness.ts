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

const mounted =
  (folder: 'logs' | 'run', help: (uid: string) => string) =>
  async (look: Look): Promise<Said> => {
    const { code } = await look.query(['test', '-w', places(look.home)[folder]])
    const uid = (await look.query(['id', '-u'])).stdout.trim()
    return code === 0
      ? good(folder)
      : wanting(`${folder} cannot be written by user ${uid} of this container`, help(uid))
  }

/** What a container must be given. */
export const fitness = (): Aspect[] => [
  { id: 'container.settings', title: 'The owner’s settings are mounted', ask: settings },
  {
    id: 'container.logs',
    title: 'The logs’ folder is mounted, and can be written',
    ask: mounted('logs', (uid) => `In the folder of compose.yaml: sudo chown ${uid} logs, or set PUID in .env.`),
  },
  {
    id: 'container.run',
    title: 'The sockets’ folder is kept in memory',
    ask: mounted('run', () => 'Keep the line tmpfs of compose.yaml, with the same user.'),
  },
]
