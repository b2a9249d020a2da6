import { type Box, isRoot, type MacState } from './box.ts'
import { complain, say, translated } from './system.ts'

/** The keys that this Mac knows; an Intel Mac lacks those of Apple silicon. */
function keys(mac: MacState): Record<string, string | number> {
  const common = {
    'hw.memsize': mac.memory,
    'hw.ncpu': mac.cores,
    'hw.physicalcpu': mac.cores,
    'hw.logicalcpu': mac.cores,
    'hw.pagesize': 16384,
    'machdep.cpu.brand_string': mac.chip,
    'kern.ostype': 'Darwin',
    'kern.osproductversion': mac.macos,
    'kern.maxfilesperproc': 61440,
    'kern.hostname': `${mac.computerName}.local`,
    'net.inet.ip.forwarding': 0,
    'kern.memorystatus_vm_pressure_level': 1,
  }
  if (mac.arch !== 'arm64') return common
  return {
    ...common,
    'hw.optional.arm64': 1,
    'hw.perflevel0.physicalcpu': Math.ceil(mac.cores * 0.75),
    'sysctl.proc_translated': translated(mac) ? 1 : 0,
    'iogpu.wired_limit_mb': mac.wiredLimitMb,
  }
}

function set(box: Box, word: string, bare: boolean): number {
  const [key = '', value = ''] = word.split('=')
  if (key !== 'iogpu.wired_limit_mb') return complain(`sysctl: unknown oid '${key}'`)
  const before = box.mac.wiredLimitMb
  if (!isRoot()) return complain(`sysctl: ${key}: Operation not permitted`)
  box.save({ wiredLimitMb: Number(value) })
  return say(bare ? `${before} -> ${value}` : `${key}: ${before} -> ${value}`)
}

/** sysctl of the few keys that matter: reads them; sets the GPU's memory limit as root. */
export function main(argv: string[], box: Box): number {
  const flags = argv.filter((word) => word.startsWith('-')).join('')
  const known = keys(box.mac)
  let code = 0
  for (const word of argv.filter((name) => !name.startsWith('-'))) {
    const value = known[word]
    if (word.includes('=')) code = set(box, word, flags.includes('n')) || code
    else if (value !== undefined) say(flags.includes('n') ? String(value) : `${word}: ${value}`)
    else if (!/[iq]/.test(flags)) code = complain(`sysctl: unknown oid '${word}'`)
  }
  return code
}
