import { called } from '../host/typed.ts'
import { jobPath, jobsOf, labels, listeners, platformOf } from '../platform/here.ts'
import { describe, isLoopback } from '../platform/platform.ts'
import { askEngine } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { tilde } from '../steps/resources.ts'
import { again, type Check, missed, ok } from '../steps/step.ts'

/** What must hold of the running engine beyond its own steps. */
export const engineChecks = (machine: Machine, setup: Setup): Check[] => [
  startsAtLogin(machine, 'ollama.at-login', labels(machine).engine),
  loopbackOnly(machine, setup),
  nobodyElse(machine, setup),
  ownUser(machine),
  cloudOff(machine, setup),
]

/** Listing, not binding: a wildcard and a single address may coexist on a port. */
function loopbackOnly(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.loopback-only',
    title: 'Ollama listens on loopback only',
    needs: ['ollama.service'],
    async check(look) {
      if (setup.mode === 'exposed')
        return missed(
          'Ollama is open to the whole tailnet, as you chose: not protected',
          `Run ${called('install')} to put the proxy in front.`,
        )
      const facts = await listeners(look, setup.settings.engine.port)
      const job = await jobsOf(machine).job(look, labels(machine).engine)
      const mine = facts.filter((fact) => fact.pid === job?.pid)
      const open = mine.filter((fact) => !isLoopback(fact.address))
      if (mine.length === 0) return missed('nobody listens for Ollama', again)
      return open.length
        ? missed(`not on loopback alone: ${open.map(describe).join(', ')}`, again)
        : ok(mine.map(describe).join(', '))
    },
  }
}

function nobodyElse(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.nobody-else',
    title: 'Nobody else listens on the ports, on any address',
    async check(look) {
      const jobs = jobsOf(machine)
      const engine = await jobs.job(look, labels(machine).engine)
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
        ? missed(
            `somebody else listens: ${foreign.map(describe).join(', ')}`,
            'Stop it: it answers without any protection.',
          )
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
      const job = await jobsOf(machine).job(look, labels(machine).engine)
      const { stdout } = await look.query(['ps', '-o', 'user=', '-p', `${job?.pid ?? 0}`])
      const user = stdout.trim()
      return user === platformOf(machine).engineUser(machine)
        ? ok(`process ${job?.pid} is ${user}’s`)
        : missed(`Ollama runs as ${user || 'an unknown user'}`, `Run ${called('install')} as yourself.`)
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
          `${platformOf(machine).packages.typed(machine.packager, 'upgrade', 'ollama')}, then run ${called('install')} again.`,
        )
      return /"disabled":\s*true/.test(answer.body)
        ? ok('cloud disabled')
        : missed(`Ollama’s /api/status says ${answer.body.slice(0, 80)}`, again)
    },
  }
}

/** As the file has it; what the supervisor made of it is in the service's own step. */
export function startsAtLogin(machine: Machine, id: string, label: string): Check {
  return {
    id,
    title: `${label} starts ${platformOf(machine).words.start} and is kept alive`,
    async check(look) {
      const { jobFiles } = platformOf(look)
      const written = await jobFiles.written(look, label)
      if (!written) return missed(`${tilde(look, jobPath(look, label))} is missing or broken`, again)
      const lacks = jobFiles.lacks(written)
      return lacks.length === 0 ? ok('as its file says') : missed(`${lacks.join(', ')} is not in its file`, again)
    },
  }
}
