import type { TailscaleWords } from '../platform.ts'

export const tailscaleWords: TailscaleWords = {
  asks: [],
  remedies: {
    NeedsLogin: 'Log in: `tailscale up`, and open the address that it shows.',
    Stopped: 'Run `tailscale up`.',
    unreachable: 'Start its daemon (sudo systemctl start tailscaled) and run again.',
    InUseOtherUser: 'Tailscale is used by another user of this machine; log out there first.',
  },
  connect: 'run `tailscale up`',
  offAndOn: 'run `tailscale down` and `tailscale up`',
}
