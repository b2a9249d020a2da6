import { haproxyOf } from '../sandbox/attacks/versions/debian.ts'
import { program } from '../sandbox/lab/gateway.ts'

/** A HAProxy that is measured, as `program` and `startGateway` take it. */
export interface Haproxy {
  /** major and minor: 2.6 */
  version: string
  /** the usual one when absent */
  haproxy?: string
  /** more of its environment */
  environment: Record<string, string>
}

/** Before `tune.memory.hot-size` (2.8) each large buffer goes back to the allocator; glibc is told here not to hand it on to the kernel. */
const keepsMemory = {
  GLIBC_TUNABLES:
    'glibc.malloc.trim_threshold=67108864:glibc.malloc.top_pad=1048576:glibc.malloc.mmap_threshold=4194304',
}

async function known(haproxy?: string): Promise<Haproxy> {
  const [major, minor] = (await program(haproxy)).version
  const old = major < 2 || (major === 2 && minor < 8)
  return {
    ...{ version: `${major}.${minor}`, environment: old ? keepsMemory : {} },
    ...(haproxy === undefined ? {} : { haproxy }),
  }
}

/** The usual HAProxy (Debian 12 has 2.6), and the newest of Debian, which is as new as Homebrew's; the newest is the last. */
export async function haproxies(): Promise<{ found: [Haproxy, ...Haproxy[]]; missing: string[] }> {
  const usual = await known()
  try {
    const newest = await known(await haproxyOf('experimental'))
    return { found: newest.version === usual.version ? [usual] : [usual, newest], missing: [] }
  } catch (error) {
    return { found: [usual], missing: [`the newest HAProxy: ${(error as Error).message}`] }
  }
}
