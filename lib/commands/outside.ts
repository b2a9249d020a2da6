import { getAt, type Look } from '../host/host.ts'
import { platformOf } from '../platform/here.ts'
import { reachableAs, tailscaleState } from '../platform/tailscale.ts'

/** Whether the server's files are its administrator's, and somebody else asks, who sees it from outside only. */
export function fromOutside(look: Look): boolean {
  const { administrator } = platformOf(look)
  return administrator !== undefined && process.getuid?.() !== administrator
}

/** Where a gateway answers on this machine's own address of the tailnet, such as http://ai1.tail1234.ts.net:11434; undefined where none does. */
export async function answeringHere(look: Look): Promise<string | undefined> {
  const tailscale = await tailscaleState(look)
  const { ipv4: address } = tailscale
  if (address === undefined) return undefined
  const open = (await platformOf(look).listeners.everywhere(look)).filter((one) => one.address === address)
  for (const { port } of open) {
    // It says 503 there while Ollama is down.
    const { status } = await getAt(look, { address, port }, '/healthz')
    if (status === 200 || status === 503) return `http://${reachableAs(tailscale)}:${port}`
  }
  return undefined
}
