import type { Look } from '../host/host.ts'
import { jobPath, labels, places } from '../platform/here.ts'
import { fingerprintOf } from '../site/configuration.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { isForeign } from '../steps/receipt.ts'

/** The consent screen of the product's description, word for word but for the lines that are no longer so (test/readme.test.ts lists them). */
export const consent = [
  '───────────────────────────────────────',
  'Security Layer: HAProxy Proxy (Highly Recommended)',
  '───────────────────────────────────────',
  'This adds a security proxy between clients and Ollama.',
  'Benefits:',
  '  • Only allowlisted endpoints exposed (prevents accidental exposure)',
  '  • Kernel-enforced isolation (Ollama unreachable from network)',
  '  • API keys and limits for each person, whenever you want them (settings.yaml)',
  'Without proxy:',
  '  • Ollama answers on this Mac only, unless you say yes to the next question',
  '  • Then all Ollama endpoints are open to the tailnet (including future ones)',
  '  • Higher risk of accidental exposure',
].join('\n')

export const consentQuestion = 'Install HAProxy proxy?'
export const exposeQuestion = 'Open every Ollama endpoint to your whole tailnet without the proxy?'

/** Whether ~/.haproxy was made by us: the receipt says so, or our fingerprint is in its configuration. */
export async function ourFolder(look: Look, machine: Machine, setup: Setup): Promise<boolean> {
  const { proxy, config } = places(machine)
  if (setup.receipt.folders.includes(proxy)) return true
  if (Object.keys(setup.receipt.files).some((path) => path.startsWith(`${proxy}/`))) return true
  return fingerprintOf((await look.read(config)) ?? '') !== ''
}

/** Files that are there, are not as we wrote them, and would be replaced. */
export async function editedFiles(look: Look, machine: Machine, setup: Setup): Promise<string[]> {
  const at = places(machine)
  const proxied = setup.mode === 'proxy'
  const theirs = proxied && (await look.stat(at.proxy)) !== undefined && !(await ourFolder(look, machine, setup))
  const all = labels(machine)
  const written = proxied ? Object.values(all) : [all.engine, all.warm]
  const paths = [...(proxied && !theirs ? [at.config] : []), ...written.map((label) => jobPath(machine, label))]
  const foreign = await Promise.all(
    paths.map(async (path) => ((await isForeign(look, setup.receipt, path)) ? [path] : [])),
  )
  return [...(theirs ? [at.proxy] : []), ...foreign.flat()]
}
