import type { ChalkInstance } from 'chalk'
import { exitCodes } from '../../host/command.ts'
import type { Named } from '../../host/typed.ts'
import { showsPage } from '../../site/settings.ts'
import type { Setup } from '../../site/setup.ts'
import { baseUrl, devices } from '../next-steps.ts'
import type { Proof } from '../prove.ts'
import { statement } from '../statement.ts'
import { worth } from './misses.ts'
import { columns } from './wrap.ts'

/** The last screen of an install: where the server answers, whom, how to try it, what is worth doing, where to go on. */
export function endScreen(proof: Proof, named: Named, chalk: ChalkInstance): string {
  const { setup, results } = proof
  if (setup.mode !== 'proxy') return [statement(proof), '', ...worth(results, 3, named('status'), chalk)].join('\n')
  return [
    `${chalk.bold(headOf(proof))} ${baseUrl(proof.machine, setup)}   (/v1 for OpenAI’s clients)`,
    ...columns(facts(proof, named)),
    ...trial(proof),
    ...worth(results, 3, named('status'), chalk),
    `Every day: ${named('status')}. New settings: ${named('apply')}. To remove it all: ${named('uninstall')}.`,
  ].join('\n')
}

/** A machine that is busy is slow, and a server all the same. */
function headOf({ code, results }: Proof): string {
  const missed = results.filter(({ state }) => state === 'missed')
  if (code === exitCodes.done) return 'Ready:'
  return missed.length > 0 && missed.every(({ id }) => id.startsWith('performance.'))
    ? 'Ready, but slower than it should be:'
    : 'Not ready yet:'
}

function facts({ machine, setup, target }: Proof, named: Named): string[][] {
  // The page has it with the model and, once it is given, the key of whoever opens it.
  const page = showsPage(setup.settings) ? `; all: ${baseUrl(machine, setup)}/connect` : ''
  return [
    ['Model', target.model?.name ?? `none yet: ${named(target.engineless ? 'nodes add NAME ADDRESS' : 'warm NAME')}`],
    ['Who', whoComes(setup, named)],
    ['Client', `${named('connect claude')}${page}`],
  ]
}

/** One request from another device; a longer one has a line of its own, to be copied. */
function trial({ machine, setup }: Proof): string[] {
  const target = `${baseUrl(machine, setup)}/v1/models`
  return setup.settings.access === 'tailnet'
    ? [`  Try     curl ${target}`]
    : [`  Try     with a key, from ${devices(machine)}:`, `    curl -H 'Authorization: Bearer KEY' ${target}`]
}

/** Who is let in, and what changes that. */
export function whoComes({ settings: { access } }: Setup, named: Named): string {
  if (access === 'keys') return `whoever has a key (${named('keys add NAME')})`
  if (access === 'either') return `whoever has a key, or is named under people (${named('keys add NAME')})`
  return `every device that your tailnet lets in (with keys: ${named('keys')})`
}
