import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Layout } from './layout.ts'
import type { Ground } from './namespaces.ts'
import { belonging } from './processes.ts'

/** Boxes that are open in this process: they end with it, however it ends. */
const openBoxes = new Set<() => void>()

function closeAll(): void {
  for (const close of openBoxes) close()
  openBoxes.clear()
}

function closeBySignal(name: NodeJS.Signals): void {
  closeAll()
  process.kill(process.pid, name)
}

function watchEnd(): void {
  if (process.listeners('exit').includes(closeAll)) return
  process.on('exit', closeAll)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, closeBySignal)
}

function removeFolder(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

/** Waits for this process's end, which closes its input, then ends what is left of the box and removes the folder. */
const GUARD = `cat >/dev/null
dir=$1 keep=$2
shift 2
for round in 1 2 3 4 5 6 7 8 9 10; do
  for file in /proc/[0-9]*/environ; do
    pid=\${file#/proc/}
    grep -qszxF "$@" "$file" && kill -9 "\${pid%/environ}" 2>/dev/null
  done
  [ "$keep" = keep ] || rm -rf "$dir" 2>/dev/null
  [ -e "$dir" ] || exit 0
  sleep 0.2
done`

/** A process that outlives this one for a moment: it cleans up even when this one is killed. Gives its dismissal. */
function guard(dir: string, keep: boolean): () => void {
  const words = belonging(dir).flatMap((line) => ['-e', line])
  const child = spawn('/bin/sh', ['-c', GUARD, 'sh', dir, keep ? 'keep' : 'remove', ...words], {
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.once('error', () => {})
  child.unref()
  const input = child.stdin as unknown as { unref?: () => void }
  input.unref?.()
  return () => void child.kill('SIGKILL')
}

/** The closing of a box: it ends every process and removes the folder, unless that is to be kept. */
export function closer({ dir }: Layout, ground: Ground, stop: () => void, keep: boolean): () => Promise<void> {
  const dismiss = guard(dir, keep)
  const remove = () => {
    if (!keep) removeFolder(dir)
  }
  const now = () => {
    ground.closeNow()
    remove()
  }
  watchEnd()
  openBoxes.add(now)
  return async () => {
    if (!openBoxes.delete(now)) return
    stop()
    await ground.close()
    remove()
    dismiss()
  }
}
