import type { Box } from './box.ts'
import type { Snapshot } from './snapshot.ts'

/** What the jobs write all the time. */
const kept =
  /^(Library\/Logs($|\/remote-ollama-proxy)|Library\/Application Support\/remote-ollama-proxy\/state\/(observer|alerts|budgets|usage|nodes\.json)|\.haproxy\/(run\/access\.log|keys\/(spent|devices|people|nodes-[0-9a-f]{12})\.map))/

/** Everything a person would miss or find changed: the home folder without the runs' logs, the apps, Homebrew. */
export function everything(box: Box): Snapshot {
  const own = [...box.snapshot('.')].filter(([path]) => !kept.test(path))
  const more = ['/Applications', box.prefix, '/Library'].flatMap((folder) =>
    [...box.snapshot(folder)].map(([path, facts]) => [`${folder}/${path}`, facts] as const),
  )
  return new Map([...own, ...more])
}
