import type { Host } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Receipt } from '../site/receipt.ts'
import type { Ui } from './cli.ts'

/** Offers to remove each package that install brought. It stays unless somebody says yes, since others may use it by now; where nobody is asked, the command is told. */
export async function offerBrought(
  ui: Pick<Ui, 'attended' | 'confirm' | 'say'>,
  host: Host,
  machine: Machine,
  receipt: Receipt,
): Promise<void> {
  const { packages } = platformOf(machine)
  const { remove } = packages
  if (!remove) return
  // The last one that came goes first.
  for (const name of receipt.brought.toReversed()) {
    const command = packages.typed(machine.packager, 'uninstall', name)
    if (ui.attended && (await ui.confirm(`Remove ${name}, which ${called('install')} brought (${command})?`, false)))
      await remove(host, machine.packager, name).catch((error: Error) => ui.say(error.message))
    else ui.say(`${called('install')} brought ${name}, which stays; it goes by: ${command}`)
  }
}
