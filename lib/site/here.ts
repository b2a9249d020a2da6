import type { Look } from '../host/host.ts'
import { platformOf } from '../platform/here.ts'
import { canonical } from './listeners.ts'

/** Whether this machine has an address now; that of a pair comes and goes. */
export const hasAddress = async (look: Look, address: string): Promise<boolean> =>
  (await platformOf(look).addresses.all(look)).some((one) => canonical(one.address) === canonical(address))
