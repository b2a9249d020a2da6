import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsFile } from '../../../lib/site/settings.ts'
import { type Box, createBox } from '../../box/box.ts'
import { everything } from '../../box/everything.ts'
import { node } from '../../box/paths.ts'
import type { Haproxy } from '../../box/tools.ts'
import { placeModels, withReal } from '../../stories/real.ts'
import { type Ground, models, placeFiles, served, taker } from './ground.ts'
import { placeLaptop } from './laptop.ts'
import { told } from './life.ts'

/** ms that a script may take on a busy machine */
const patience = 240_000
const quick = { launchd: { throttleMs: 200 }, pmset: { ac: { sleep: 0, autorestart: 1 } } }

const groundOf = (box: Box): Ground => ({
  settings: settingsFile({ home: box.home, system: 'mac' }),
  home: box.home,
  address: box.address,
  dial: box.dial,
  http: box.http,
  mac: box.mac,
  script: (name, ...words) => box.script(name, words, { timeoutMs: patience, env: { ROP_FROM: box.home } }),
  run: (argv) => box.run(argv),
  write: (path, text) => box.write(path, text, 0o600),
  everything: () => everything(box),
  close: () => box.close(),
})

/** A Mac on which install.ts has run, with the models, whose Ollama names them in another order each time, and a second Ollama. */
export async function installedMac(haproxy: Haproxy): Promise<Ground> {
  const box = await createBox(withReal({ preset: 'ready', haproxy, mac: quick, folder: 'Ada Lovelace' }))
  const ground = groundOf(box)
  try {
    placeModels(box)
    box.start([node, '-e', taker])
    box.start([node, '-e', served])
    placeLaptop(ground, {})
    await placeFiles(ground)
    box.start(['/bin/sh', '-c', `OLLAMA_HOST=127.0.0.1:12500 exec ${box.prefix}/bin/ollama serve`])
    await ground.write(ground.settings, `models: ${JSON.stringify(models)}\n`)
    const outcome = await ground.script('install.ts', '--yes')
    const manifests = `${box.home}/.ollama/models/manifests/registry.ollama.ai/library`
    await box.run(['sh', '-c', `touch -d 2026-01-01T00:00:00.5 '${manifests}'/*/*`])
    writeFileSync(join(box.dir, 'ollama-faults.json'), JSON.stringify({ anyOrder: true }))
    if (outcome.code > 1) throw new Error(`install.ts on a fresh Mac: ${told(outcome)}`)
    return ground
  } catch (error) {
    await box.close()
    throw error
  }
}
