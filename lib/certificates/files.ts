import type { Host } from '../host/host.ts'
import { Unfit } from './judge.ts'
import { type Brought, fromHome, type Wanted } from './source.ts'

/** The owner's own files, which somebody else renews: what lies there is looked at again and again. */
export async function fromFiles(
  host: Host,
  { name }: Pick<Wanted, 'name'>,
  files: { chain: string; key: string },
): Promise<Brought> {
  const read = async (what: string, file: string) => {
    const path = fromHome(host.home, file)
    const text = await host.read(path).catch((error: NodeJS.ErrnoException) => {
      throw new Unfit(
        `The certificate for ${name} was not taken: ${what} ${file} cannot be read (${error.code}); let this user read it.`,
      )
    })
    if (text !== undefined) return text
    throw new Unfit(
      `The certificate for ${name} was not taken: ${what} ${file} is not there; put it there, or change tls in settings.yaml.`,
    )
  }
  const pem = `${await read('its chain', files.chain)}\n${await read('its key', files.key)}`
  return { pem, source: `${files.chain} and ${files.key}` }
}
