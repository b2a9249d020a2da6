import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Box } from './box.ts'
import { intelBox, kegsOf, placeApp, placeBrew, placeKeg, wrapper, writeProgram } from './brew/kegs.ts'
import { complain } from './system.ts'
import { putAddresses, takeAddresses } from './tailscale/addresses.ts'

function placeTailscale(box: Box): void {
  const { tailscale } = box.mac
  for (const variant of [tailscale.variant, tailscale.second]) {
    if (variant === 'standalone' || variant === 'appstore')
      placeApp(box, 'Tailscale', tailscale.version, variant === 'appstore')
    if (variant === 'formula' && !box.mac.brew.installed.tailscale) {
      box.save(({ brew }) => {
        brew.installed.tailscale = tailscale.version
      })
    }
  }
  // What the app's menu puts there is a script, not a link.
  if (tailscale.menuCli) writeProgram(join(box.mac.usrLocalBin, 'tailscale'), wrapper(box, 'tailscale'))
}

function placeHomebrew(box: Box): void {
  placeBrew(box)
  for (const [name, version] of Object.entries(box.mac.brew.installed))
    if (!kegsOf(box, name).includes(version)) placeKeg(box, name, version)
}

/** Makes the box's files and addresses agree with mac.json: brew, installed formulae, apps, Tailscale. May be run again. */
export function place(box: Box): void {
  placeTailscale(box)
  const { brew, intelBrew, ollamaApp, tailscale } = box.mac
  if (brew.present) placeHomebrew(box)
  if (intelBrew) placeHomebrew(intelBox(box))
  if (ollamaApp.installed && !existsSync(join(box.mac.applications, 'Ollama.app')))
    placeApp(box, 'Ollama', ollamaApp.version)
  if (tailscale.variant !== 'absent' && tailscale.state === 'Running') putAddresses(box)
  else takeAddresses(box)
}

/** box-place: for whoever sets a box up, to be run inside it. */
export function main(_argv: string[], box: Box): number {
  try {
    place(box)
    return 0
  } catch (error) {
    return complain(`box-place: ${error instanceof Error ? error.message : error}`)
  }
}
