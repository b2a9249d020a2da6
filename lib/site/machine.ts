import type { Look } from '../host/host.ts'
import { platformOf } from '../platform/here.ts'
import type { Address, Fixed, Packager } from '../platform/platform.ts'
import { surveyTailscale, type Tailscale } from '../platform/tailscale.ts'

/** What this machine is, read once before each part. */
export interface Machine extends Fixed {
  packager: Packager
  tailscale: Tailscale
  addresses: Address[]
}

/** Reads the machine by its own commands; nothing is changed. What never changes is taken from an earlier survey. */
export async function survey(look: Look, before?: Machine): Promise<Machine> {
  const { facts, packages, addresses } = platformOf(look)
  const [fixed, packager, own, tailscale] = await Promise.all([
    before ?? facts.survey(look),
    before?.packager.program ? before.packager : packages.survey(look),
    addresses.all(look),
    surveyTailscale(look),
  ])
  return { ...fixed, packager, tailscale, addresses: own }
}
