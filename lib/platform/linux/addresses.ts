import { z } from 'zod'
import { json } from '../../host/command.ts'
import type { Address, Addresses } from '../platform.ts'

const shown = z.array(
  z.object({
    ifname: z.string(),
    addr_info: z.array(
      z.object({
        family: z.string(),
        local: z.string().optional(),
        prefixlen: z.int().optional(),
        tentative: z.boolean().optional(),
        dadfailed: z.boolean().optional(),
      }),
    ),
  }),
)

/** Reads `ip -j address`. */
export function parseIp(text: string): Address[] {
  const { data = [] } = shown.safeParse(json(text))
  return data.flatMap(({ ifname: device, addr_info: own }) =>
    own.flatMap(({ family, local, prefixlen: bits, tentative, dadfailed }) => {
      if (local === undefined || !family.startsWith('inet')) return []
      const unready = dadfailed ? 'duplicated' : tentative ? 'tentative' : undefined
      const version = family === 'inet6' ? 6 : 4
      return [{ family: version, address: local, device, ...(bits && { bits }), ...(unready && { unready }) } as const]
    }),
  )
}

export const addresses: Addresses = {
  all: async (look) => parseIp((await look.query(['ip', '-j', 'address'])).stdout),
  isTunnel: (device) => /^(tailscale|tun|wg)/.test(device),
}
