import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { libraryFolders } from '../box/apt.ts'
import { packages } from '../box/packages.ts'

/** Programs that make a root and boot it, unpacked where this machine lacks them. */
export interface Tools {
  env: NodeJS.ProcessEnv
  bin(name: string): string
}

/** The programs that a booted Debian takes. */
export async function tools(): Promise<Tools> {
  const found = await packages(['mmdebstrap', 'systemd-container', 'util-linux', 'gnupg', 'openssl'])
  const own = join(found.root, 'usr/lib')
  const libraries = found.libraryPath === '' ? [] : [...libraryFolders(found.root)]
  const systemd = libraries.map((folder) => join(folder, 'systemd')).filter((folder) => existsSync(folder))
  const path = `${found.root}/usr/sbin:${found.root}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin`
  const perl = existsSync(join(own, '../share/perl5')) ? { PERL5LIB: join(own, '../share/perl5') } : {}
  return {
    env: { ...process.env, ...perl, PATH: path, LD_LIBRARY_PATH: [...libraries, ...systemd].join(':') },
    bin: found.bin,
  }
}
