import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { didYouMean } from '../site/nearest.ts'
import { observeAll } from '../steps/step.ts'
import { resolverOf } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { filled, type Recipe, recipeNames, recipeOf, valuesOf } from './recipe/book.ts'
import { recipeChecks } from './recipe/verify.ts'
import { filesOf, type Written, withDigests } from './recipe/write.ts'
import { columns } from './screens/wrap.ts'

/** recipe: writes the files of a stack that stands behind the gateway, or looks whether it runs as promised. */
async function recipe(ui: Ui, flags: Flags, [name, ...more]: string[]): Promise<number> {
  const host = realHost(ui.note, ui.waiting)
  if (name === undefined) return list(ui, host)
  if (more.length > 0)
    throw new Stop(exitCodes.usage, `${called('recipe')} takes one name; ${more.length + 1} were given.`)
  const found = await recipeOf(host, name)
  const values = valuesOf(found, (flags.set as string[] | undefined) ?? [])
  return flags.check ? verify(ui, host, found, values, flags) : write(ui, host, name, found, values, flags)
}

async function list(ui: Ui, host: Host): Promise<number> {
  const all = await Promise.all(
    (await recipeNames(host)).map(async (name) => ({ name, recipe: await recipeOf(host, name) })),
  )
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify(
        all.map(({ name, recipe: { title, parts } }) => ({ name, title, parts: Object.keys(parts) })),
        null,
        2,
      )}\n`,
    )
  else
    for (const {
      name,
      recipe: { title, parts },
    } of all)
      ui.say(
        [
          `${name}: ${title}`,
          ...columns(Object.entries(parts).map(([part, { what }]) => [`  --part ${part}`, what])),
        ].join('\n'),
      )
  return exitCodes.done
}

async function write(
  ui: Ui,
  host: Host,
  name: string,
  found: Recipe,
  values: Record<string, string>,
  flags: Flags,
): Promise<number> {
  const known = Object.keys(found.parts)
  const part = found.parts[`${flags.part ?? ''}`]
  if (!part)
    throw new Stop(
      exitCodes.usage,
      `--part is ${known.join(' or ')}${flags.part === undefined ? '.' : `, not ${JSON.stringify(`${flags.part}`.slice(0, 80))}${didYouMean(`${flags.part}`, known) || '.'}`}`,
    )
  const plain = await filesOf(host, name, part, values)
  const theirs = plain.find(({ was, text }) => was !== undefined && was !== text && !text.startsWith(was))
  if (theirs && flags.force !== true)
    throw new Stop(
      exitCodes.usage,
      `${theirs.path} is there and says something else; --force writes over it. Nothing was changed.`,
    )
  const files = flags.pin ? await withDigests(host, plain) : plain
  for (const folder of part.folders) await host.folder(filled(folder, values), 0o755)
  for (const file of files) if (file.was !== file.text) await host.write(file.path, file.text, file.mode)
  if (ui.json) process.stdout.write(`${JSON.stringify({ files: files.map(({ path }) => path), values }, null, 2)}\n`)
  else ui.say(told(files, filled(found.next, values)))
  return exitCodes.done
}

const told = (files: Written[], next: string): string =>
  [
    ...files.map(({ path, was, text, mode }) => {
      const how = was === text ? 'is as it was' : was === undefined ? 'written' : 'written anew'
      return `${path} ${how}${mode === 0o600 ? ', for its owner alone' : ''}.`
    }),
    'Then:',
    ...next.split('\n').map((line) => `    ${line}`),
  ].join('\n')

async function verify(
  ui: Ui,
  host: Host,
  { checks }: Recipe,
  values: Record<string, string>,
  flags: Flags,
): Promise<number> {
  const all = recipeChecks(checks, values, resolverOf(flags))
  const results = await observeAll(all, host, (result) =>
    ui.json
      ? undefined
      : ui.say(
          `${result.state === 'ok' ? '✓' : '✗'} ${result.title}: ${result.saw}${result.remedy ? `. ${result.remedy}` : ''}`,
        ),
  )
  if (ui.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
  return results.some(({ state }) => state === 'missed') ? exitCodes.failed : exitCodes.done
}

export const script: Script = {
  usage: `Usage: ${typed('recipe')} [NAME --part PART --set NAME=VALUE … [--pin] | NAME --check --set NAME=VALUE …]
Files for services that stand behind the gateway: a compose.yaml, an .env with secrets made for it, their own configuration.
Without a name it says which recipes there are. Nothing is started.

  --part PART          the machine that it is for
  --set NAME=VALUE     a value of the recipe, such as domain=example.net (several times)
  --pin                each image by the digest that Docker resolves now
  --force              writes over files that say something else; an .env keeps what it has
  --check              looks whether the stack runs as promised
  --resolver ADDRESS   with --check: whom to ask for its names
  --json               one JSON document on stdout`,
  options: {
    part: { type: 'string' },
    set: { type: 'string', multiple: true },
    pin: { type: 'boolean' },
    force: { type: 'boolean' },
    check: { type: 'boolean' },
    resolver: { type: 'string' },
    json: { type: 'boolean' },
  },
  positionals: true,
  words: ['ai-stack'],
  run: recipe,
}
