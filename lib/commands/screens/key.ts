import { sharingInShort } from '../../clients/sharing.ts'
import type { Named } from '../../host/typed.ts'
import { asksKeys, showsPage } from '../../site/settings.ts'
import type { Setup } from '../../site/setup.ts'
import { columns } from './wrap.ts'

/** A key that was made a moment ago, and for whom. */
export interface Made {
  name: string
  key: string
  base: string
  model: string
  setup: Setup
}

/** What somebody with a new key needs to know, a line for each thing to do next. The key itself is shown between these. */
export function keyScreen({ name, key, base, model, setup }: Made, named: Named): [string, string, string] {
  const { settings, receipt } = setup
  const next = [
    ['Address', `${base}   (/v1 for OpenAI’s clients)`],
    ['Model', model],
    ...(showsPage(settings) ? [['Page', `${base}/connect in a browser tells them what to paste`]] : []),
    ['Client', `${named('connect NAME')} shows it here: codex, claude, … (all: ${named('connect')})`],
    ['Tailnet', sharingInShort],
  ]
  const counts =
    receipt.folders.length === 0
      ? `Nothing is installed here yet; ${named('install')} puts the key in force.`
      : !asksKeys(settings)
        ? `No key is asked for yet: whoever the tailnet lets in gets in without one. Set \`access: keys\` in settings.yaml and run ${named('apply')}.`
        : 'Whoever has it gets in by it; only its hash is kept.'
  return [
    `The key for ${name}, shown this once and kept nowhere:`,
    `\n  ${key}\n`,
    [counts, ...columns(next)].join('\n'),
  ]
}
