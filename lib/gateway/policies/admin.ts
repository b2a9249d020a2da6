import { places, platformOf } from '../../platform/here.ts'
import type { Gateway, Policy } from '../policy.ts'

/** Who HAProxy becomes, and the runtime socket, for its owner alone. */
export function admin(gateway: Gateway): Policy {
  const { account } = platformOf(gateway)
  return {
    name: 'admin',
    lines: {
      global: [
        ...(account ? [`user ${account.user}`, `group ${account.group}`] : []),
        `stats socket "${places(gateway).adminSocket}" mode 600 level admin`,
      ],
    },
  }
}
