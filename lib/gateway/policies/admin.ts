import { places } from '../../platform/here.ts'
import type { Gateway, Policy } from '../policy.ts'

/** The runtime socket, for its owner alone. */
export function admin(gateway: Gateway): Policy {
  return {
    name: 'admin',
    lines: { global: [`stats socket "${places(gateway).adminSocket}" mode 600 level admin`] },
  }
}
