import type { TailscaleWords } from '../platform.ts'

export const tailscaleWords: TailscaleWords = {
  asks: ['your password', 'a click to allow its extension'],
  remedies: {
    NeedsLogin: 'Open Tailscale in the menu bar and log in (or run `tailscale up` and open the address it shows).',
    Stopped: 'Connect in Tailscale’s menu, or run `tailscale up`.',
    unreachable: 'Open the Tailscale app (or start its daemon) and run again.',
    InUseOtherUser: 'Tailscale is used by another user of this Mac; log out there first.',
  },
  connect: 'connect in its menu',
  offAndOn: 'switch Tailscale off and on in the menu bar',
}
