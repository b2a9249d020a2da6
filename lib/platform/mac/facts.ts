import type { Look } from '../../host/host.ts'
import type { Facts, Fixed } from '../platform.ts'
import { versionNumbers } from '../versions.ts'
import { names, told } from './told.ts'

async function survey(look: Look): Promise<Fixed> {
  const say = async (...argv: string[]) => {
    const { code, stdout } = await look.query(argv)
    return code === 0 ? stdout.trim() : ''
  }
  const [kernel, version, memory, arm, translated, uid, user, ssh] = await Promise.all([
    say('uname', '-s'),
    // A program built against an old SDK, or this variable, makes sw_vers lie (python/cpython#135675).
    say('env', '-u', 'SYSTEM_VERSION_COMPAT', 'sw_vers', '-productVersion'),
    say('sysctl', '-n', 'hw.memsize'),
    say('sysctl', '-n', 'hw.optional.arm64'),
    say('sysctl', '-n', 'sysctl.proc_translated'),
    say('id', '-u'),
    say('id', '-un'),
    say('printenv', 'SSH_CONNECTION'),
  ])
  const gui = await look.query(['launchctl', 'print', `gui/${uid}`])
  return {
    home: look.home,
    system: 'mac',
    kernel,
    version: versionNumbers(version),
    appleSilicon: arm === '1',
    translated: translated === '1',
    memory: Number(memory) || 0,
    uid: Number(uid),
    user,
    desktop: gui.code === 0,
    ssh: ssh !== '',
  }
}

/** The text is an argument of the script, never a part of it. */
const script = ['on run argv', 'display notification (item 1 of argv) with title (item 2 of argv)', 'end run']

export const facts: Facts = {
  survey,
  told,
  names,
  memory: async (look) => Number((await look.query(['sysctl', '-n', 'hw.memsize'])).stdout) || 0,
  /** 1 is normal, 2 warns, 4 is critical (XNU bsd/sys/event.h, NOTE_MEMORYSTATUS_PRESSURE_*). */
  async pressure(look) {
    const { code, stdout } = await look.query(['sysctl', '-n', 'kern.memorystatus_vm_pressure_level'])
    const level = Number(stdout)
    if (code !== 0 || !level) return undefined
    if (level > 2) return 'critical'
    return level > 1 ? 'high' : 'none'
  },
  notify: (host, title, text) => host.run(['osascript', ...script.flatMap((line) => ['-e', line]), text, title]),
  // macOS shows it in the name of Script Editor (cline/cline#3097, gen2brain/beeep#67).
  unseen: {
    saw: 'alerts come by notifications alone, which macOS drops without a word until Script Editor may show them',
    help: 'Set alerts.webhook in settings.yaml; or run `display notification "test"` in Script Editor once and allow what macOS asks.',
  },
  kindOf(command) {
    if (/brew (install|update)|\/bin\/bash/.test(command)) return 'package'
    return /launchctl (bootstrap|bootout|kickstart|disable|enable)/.test(command) ? 'service' : undefined
  },
}
