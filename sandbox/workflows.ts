import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, checkout, program } from './box/paths.ts'

/** Built from source by Go's module proxy, which holds it to the checksum database. */
const version = 'v1.7.12'

function fail(code: number, message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

/** actionlint: the one that was fetched before, else built now. */
function actionlint(): string {
  const folder = join(cacheFolder(), `actionlint-${version}`)
  const file = join(folder, 'actionlint')
  if (existsSync(file)) return file
  const go = [program('go'), '/usr/local/go/bin/go'].find((path) => path !== undefined && existsSync(path))
  if (!go)
    fail(
      3,
      'Go is missing, which fetches actionlint, which checks the workflows; install Go (https://go.dev/dl) and run this again.',
    )
  const env = { ...process.env, GOBIN: folder }
  const { status } = spawnSync(go, ['install', `github.com/rhysd/actionlint/cmd/actionlint@${version}`], {
    env,
    stdio: 'inherit',
  })
  if (status !== 0) fail(1, `actionlint ${version} could not be fetched; the words of Go are above.`)
  return file
}

const { status } = spawnSync(actionlint(), ['-color'], { cwd: checkout, stdio: 'inherit' })
if (status === 0) process.stdout.write('Both workflows are as GitHub wants them.\n')
process.exitCode = status ?? 1
