import { typedBrew } from '../platform/mac/brew.ts'
import { launchd } from '../platform/mac/launchd.ts'
import { describe, isLoopback, listeners } from '../platform/mac/listeners.ts'
import { labels } from '../platform/mac/places.ts'
import { askEngine } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { readAgent } from '../steps/resources.ts'
import { type Check, missed, ok } from '../steps/step.ts'

/** What must hold of the running engine beyond its own steps. */
export const engineChecks = (machine: Machine, setup: Setup): Check[] => [
  plistKeys('ollama.plist-keys', labels.engine),
  loopbackOnly(machine, setup),
  nobodyElse(machine, setup),
  ownUser(machine),
  cloudOff(machine, setup),
]

/** Listing, not binding: on macOS a wildcard and a single address coexist on a port. */
function loopbackOnly(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.loopback-only',
    title: 'Ollama listens on loopback only',
    needs: ['ollama.service'],
    async check(look) {
      if (setup.mode === 'exposed')
        return missed(
          'Ollama is open to the whole tailnet, as you chose: not protected',
          'Run install.ts to put the proxy in front.',
        )
      const facts = await listeners(look, setup.settings.engine.port)
      const job = await launchd(machine.home, machine.uid).job(look, labels.engine)
      const mine = facts.filter((fact) => fact.pid === job?.pid)
      const open = mine.filter((fact) => !isLoopback(fact.address))
      if (mine.length === 0) return missed('nobody listens for Ollama', 'Run install.ts again.')
      return open.length
        ? missed(open.map(describe).join(', '), 'Run install.ts again: it writes OLLAMA_HOST=127.0.0.1.')
        : ok(mine.map(describe).join(', '))
    },
  }
}

function nobodyElse(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.nobody-else',
    title: 'Nobody else listens on the ports, on any address',
    async check(look) {
      const jobs = launchd(machine.home, machine.uid)
      const engine = await jobs.job(look, labels.engine)
      const worker = new Set(
        (await listeners(look, setup.settings.port))
          .filter((fact) => fact.command?.includes('haproxy'))
          .map((fact) => fact.pid),
      )
      const ports = [...new Set([setup.settings.port, setup.settings.engine.port])]
      const facts = (await Promise.all(ports.map((port) => listeners(look, port)))).flat()
      const foreign = facts.filter(
        (fact) => fact.pid === undefined || (fact.pid !== engine?.pid && !worker.has(fact.pid)),
      )
      return foreign.length
        ? missed(foreign.map(describe).join(', '), 'Stop it: it answers without any protection.')
        : ok(facts.map(describe).join(', '))
    },
  }
}

function ownUser(machine: Machine): Check {
  return {
    id: 'ollama.user',
    title: 'Ollama does not run as root',
    needs: ['ollama.service'],
    async check(look) {
      const job = await launchd(machine.home, machine.uid).job(look, labels.engine)
      const { stdout } = await look.query(['ps', '-o', 'user=', '-p', `${job?.pid ?? 0}`])
      const user = stdout.trim()
      return user === machine.user
        ? ok(`process ${job?.pid} is ${user}’s`)
        : missed(`its user is ${user || 'unknown'}`, 'Run install.ts as yourself.')
    },
  }
}

function cloudOff(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.cloud-off',
    title: 'Ollama forwards nothing to its cloud',
    needs: ['ollama.service'],
    async check(look) {
      const answer = await askEngine(look, machine, setup, '/api/status')
      if (answer.status === 404)
        return missed(
          'this Ollama cannot switch its cloud off (before 0.16.2)',
          `${typedBrew(machine)} upgrade ollama, then run install.ts again.`,
        )
      return /"disabled":\s*true/.test(answer.body)
        ? ok('cloud disabled')
        : missed(`/api/status says ${answer.body.slice(0, 80)}`, 'Run install.ts again: it writes OLLAMA_NO_CLOUD=1.')
    },
  }
}

/** RunAtLoad, KeepAlive and Interactive as the file has them; what launchd made of them is in `ollama.service`. */
export function plistKeys(id: string, label: string): Check {
  return {
    id,
    title: `${label}.plist starts at login and is kept alive`,
    async check(look) {
      const agent = await readAgent(look, label)
      if (!agent) return missed(`${label}.plist is missing or broken`, 'Run install.ts again.')
      const good = agent.RunAtLoad === true && agent.KeepAlive === true && agent.ProcessType === 'Interactive'
      return good
        ? ok('RunAtLoad, KeepAlive, ProcessType Interactive')
        : missed('RunAtLoad, KeepAlive or ProcessType differs', 'Run install.ts again.')
    },
  }
}
