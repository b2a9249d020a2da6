import { exitCodes, Stop } from '../host/command.ts'
import { typed } from '../host/typed.ts'
import { type Verb, verbs } from './verbs.ts'

/** The words that may follow each verb. */
type Words = Record<string, string[]>

/** The words of every verb, in the language of a shell. */
const shells: Record<string, (words: Words) => string> = {
  bash: (words) => `# rop: put this line into ~/.bashrc: eval "$(rop completion bash)"
_rop() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W '${Object.keys(words).join(' ')}' -- "$word")); return; fi
  case \${COMP_WORDS[1]} in
${cases(words, (list) => `COMPREPLY=($(compgen -W '${list.join(' ')}' -- "$word"))`)}
  esac
}
complete -o default -F _rop rop`,
  zsh: (words) => `# rop: put this line into ~/.zshrc, after compinit: eval "$(rop completion zsh)"
_rop() {
  if (( CURRENT == 2 )); then compadd -- ${Object.keys(words).join(' ')}; return; fi
  case $words[2] in
${cases(words, (list) => `compadd -- ${list.join(' ')}; _files`)}
  esac
}
compdef _rop rop`,
  fish: (words) =>
    [
      '# rop: put this line into ~/.config/fish/config.fish: rop completion fish | source',
      `complete -c rop -n __fish_use_subcommand -f -a '${Object.keys(words).join(' ')}'`,
      ...Object.entries(words).map(
        ([verb, list]) => `complete -c rop -n '__fish_seen_subcommand_from ${verb}' -a '${list.join(' ')}'`,
      ),
    ].join('\n'),
}

const cases = (words: Words, line: (list: string[]) => string): string =>
  Object.entries(words)
    .map(([verb, list]) => `    ${verb}) ${line(list)} ;;`)
    .join('\n')

/** What a shell reads so that Tab knows the verbs and their options. Throws `Stop` (exit 2) for another shell. */
export async function completion(shell = ''): Promise<string> {
  const write = Object.hasOwn(shells, shell) ? shells[shell] : undefined
  if (!write)
    throw new Stop(
      exitCodes.usage,
      `${typed('completion')} takes one of ${Object.keys(shells).join(', ')}${shell === '' ? '' : `, not ${JSON.stringify(shell.slice(0, 40))}`}.`,
    )
  const words: Words = { help: Object.keys(verbs), completion: Object.keys(shells) }
  for (const [verb, { script }] of Object.entries<Verb>(verbs)) words[verb] = await wordsOf(await script())
  return write(words)
}

const wordsOf = ({ options, words = [] }: Awaited<ReturnType<Verb['script']>>): string[] => [
  ...words,
  ...Object.keys(options).map((name) => `--${name}`),
  '--help',
]
