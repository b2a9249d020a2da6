import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pin-'))
  // All that is in the PATH: this machine may have a Docker.
  symlinkSync('/bin/bash', join(folder, 'bash'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`

/** In the place of Docker, in whose words it answers (28.x): an image that it had from a mirror, too, and one that is gone. */
const docker = (gone: string) => `#!/bin/sh
for image; do :; done
repository=\${image%:*}
case "$1 $2" in
  'pull --quiet')
    [ "$image" != '${gone}' ] || {
      echo "Error response from daemon: manifest for $image not found: manifest unknown: manifest unknown" >&2
      exit 1
    }
    echo "docker.io/$image" ;;
  'image inspect')
    [ "$4" = '{{join .RepoDigests "\\n"}}' ] || exit 64
    echo "mirror.example.net/$repository@${digest('f')}"
    echo "$repository@${digest('a')}" ;;
  *) exit 64 ;;
esac
`

function pinned(docker?: string) {
  if (docker !== undefined) {
    writeFileSync(join(folder, 'docker'), docker)
    chmodSync(join(folder, 'docker'), 0o755)
  }
  const [stack, data] = [`stack=${folder}/stack`, `data=${folder}/data`]
  const words = ['recipe', 'ai-stack', '--part', 'gpu', '--pin', '--set', 'domain=example.net', '--set', stack]
  const env = { HOME: folder, PATH: folder }
  const argv = ['--import', 'tsx', 'rop.ts', ...words, '--set', data]
  const { status, stderr } = spawnSync(process.execPath, argv, { env, encoding: 'utf8', input: '' })
  return { code: status, said: stderr }
}

const compose = () => readFileSync(`${folder}/stack/compose.yaml`, 'utf8')
const nothing = () => !existsSync(`${folder}/stack`) && !existsSync(`${folder}/data`)

test('each image has the digest that Docker had for it under its own name', () => {
  expect(pinned(docker(''))).toEqual({ code: 0, said: '' })
  const images = [...compose().matchAll(/^ +image: (\S+)$/gm)].map(([, image]) => image)
  expect(images).toEqual(
    ['ollama/ollama:0.24.0', 'ollama/ollama:0.24.0', 'qdrant/qdrant:v1.20.0', 'vllm/vllm-openai:v0.33.0'].map(
      (image) => `${image}@${digest('a')}`,
    ),
  )
})

test('an image that is gone is told in one sentence, and nothing was written', () => {
  expect(pinned(docker('qdrant/qdrant:v1.20.0'))).toEqual({
    code: 3,
    said: 'Docker cannot get the image qdrant/qdrant:v1.20.0, so nothing was written; it says why with: docker pull qdrant/qdrant:v1.20.0\n',
  })
  expect(nothing()).toBe(true)
})

test('a machine without Docker is told to leave it out', () => {
  expect(pinned()).toEqual({ code: 3, said: expect.stringMatching(/^There is no docker here .*leave --pin out/) })
  expect(nothing()).toBe(true)
})
