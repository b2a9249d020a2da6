import { exitCodes, Stop } from '../host/command.ts'
import { realLook } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { platformOf } from '../platform/here.ts'
import { didYouMean } from '../site/nearest.ts'
import { asHelp, ownVersion, unheard } from './arguments.ts'
import { explained } from './cli.ts'
import { completion } from './completion.ts'
import { runVerb, type Verb, verbs } from './verbs.ts'

const lines = Object.entries<Verb>(verbs).map(([verb, { what }]) => `  ${verb.padEnd(12)} ${what}`)

const usage = () => `Usage: ${typed('VERB')} [options]
A private AI server of your own: Tailscale decides who can reach it, HAProxy what they may ask, Ollama answers.

${lines.join('\n')}

  help VERB    its options; so does ${typed('VERB')} --help
  completion   words for your shell: ${typed('completion zsh')} (or bash, fish)
  --version    the version of remote-ollama-proxy`

/** What `rop` was told: a verb, or a question about itself. Sets the exit code. */
export async function rop([word, ...rest]: string[]): Promise<void> {
  unheard()
  const verb = word === 'help' ? rest[0] : word
  if (verb !== undefined && Object.hasOwn(verbs, verb))
    return elsewhere(verb) ?? runVerb(verb as keyof typeof verbs, word === 'help' ? ['--help'] : rest)
  await explained(async () => {
    process.stdout.write(`${await answer(verb, rest)}\n`)
    return exitCodes.done
  })
}

/** Says what is done instead, where this is nothing that is done on such a machine. */
function elsewhere(verb: string): Promise<void> | undefined {
  const { elsewhere: all, words } = platformOf(realLook())
  const instead = all?.[verb]
  if (instead === undefined) return undefined
  return explained(async () => {
    throw new Stop(exitCodes.precondition, `${typed(verb)} is nothing for ${words.here}; ${instead}`)
  })
}

async function answer(word: string | undefined, rest: string[]): Promise<string> {
  if (word === undefined || ['help', '--help', '-h'].includes(word)) return asHelp(usage())
  if (word === '--version') return `remote-ollama-proxy ${await ownVersion()}`
  if (word === 'completion') return completion(rest[0])
  const known = [...Object.keys(verbs), 'help', 'completion']
  throw new Stop(
    exitCodes.usage,
    `There is no ${JSON.stringify(word.slice(0, 40))}${didYouMean(word, known) || '.'} ${typed('help')} lists what there is.`,
  )
}
