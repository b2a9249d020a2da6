import { type ClientCertificate, makeClientCertificate } from '../certificates/clients.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { asksCertificates } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import type { Ui } from './cli.ts'

/** A client certificate with the file that it lies in. */
export interface Handed extends ClientCertificate {
  file: string
}

/** Makes a client certificate in the folder where rop was typed, and says once how it is opened; its fingerprint is what will be known of it. Gives none for a name that is taken; throws `Stop` where the file is there already (exit 2) or cannot be written (3). */
export async function clientCertificate(
  { ui, host, setup }: { ui: Ui; host: Host; setup: Setup },
  name: string,
): Promise<Handed | undefined> {
  if (Object.hasOwn(setup.registry.keys, name)) return undefined
  const file = `${process.env.ROP_FROM ?? process.cwd()}/${name}.p12`
  if (await host.stat(file))
    throw new Stop(exitCodes.usage, `${file} is there already; move it away and run again. Nothing was changed.`)
  const made = await makeClientCertificate(host, name, file).catch((error: NodeJS.ErrnoException) => {
    if (error.path === undefined) throw error
    throw new Stop(
      exitCodes.precondition,
      `${file} cannot be written (${error.code}); go to a folder where you may write, and run again. Nothing was changed.`,
    )
  })
  ui.say(`A client certificate for ${name} lies in ${file}, with its key; give it to them and delete it here.`)
  ui.secret(`  Its password, shown this once: ${made.password}\n`)
  if (!asksCertificates(setup.settings))
    ui.say(
      `No listener asks for one yet: set certificates: optional under listeners in settings.yaml, and run ${called('apply')}.`,
    )
  return { ...made, file }
}
