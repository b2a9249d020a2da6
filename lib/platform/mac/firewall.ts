import type { Look } from '../../host/host.ts'
import type { Firewall, Said } from '../platform.ts'

const usual = '/usr/libexec/ApplicationFirewall/socketfilterfw'
const candidates = ['socketfilterfw', usual]

/** The stable path and the one its link leads to: the firewall may list either. */
const bothNames = async (look: Look, program: string): Promise<string[]> => {
  const real = (await look.query(['readlink', '-f', program])).stdout.trim()
  return real && real !== program ? [program, real] : [program]
}

async function ask(look: Look, program: string): Promise<Said> {
  const tool = await look.find(candidates)
  if (!tool) return { is: 'unknown', saw: 'no application firewall here' }
  const { stdout } = await look.query([tool, '--getglobalstate'])
  if (/State = 0|disabled/.test(stdout)) return { is: 'good', saw: 'off' }
  if (/State = 2/.test(stdout))
    return {
      is: 'wanting',
      saw: 'the application firewall blocks every incoming connection, so nobody on another device gets an answer',
      help: 'System Settings > Network > Firewall > Options: switch "Block all" off.',
    }
  const apps = (await look.query([tool, '--listapps'])).stdout.split('\n')
  return listed(apps, await bothNames(look, program), program)
}

function listed(apps: string[], names: string[], program: string): Said {
  const entry = apps.findIndex((line) => names.some((name) => line.includes(name)))
  if (entry >= 0 && /Allow/i.test(apps.slice(entry, entry + 2).join(' ')))
    return { is: 'good', saw: 'HAProxy is allowed in' }
  const replaced = entry < 0 && apps.some((line) => /\/Cellar\/haproxy\//.test(line))
  return {
    is: 'wanting',
    saw: replaced
      ? 'the application firewall knows HAProxy as it was before an upgrade, and asks at the screen before the new one may be reached'
      : 'the application firewall is on, and asks at the screen before HAProxy may be reached',
    help: `sudo ${usual} --add ${program} && sudo ${usual} --unblockapp ${program}`,
  }
}

export const firewall: Firewall = {
  lets: (program) => ({
    id: 'firewall.haproxy',
    title: 'The application firewall lets HAProxy in',
    question: 'Let HAProxy through the application firewall?',
    asks: ['your password'],
    keeps: 'a setting of your Mac’s firewall',
    ask: (look) => ask(look, program),
    async make(host, attended) {
      const tool = (await host.find(candidates)) ?? usual
      for (const path of await bothNames(host, program))
        for (const verb of ['--add', '--unblockapp'])
          await host.run(['sudo', tool, verb, path], { interactive: attended })
    },
  }),
}
