import { parse } from 'yaml'
import { z } from 'zod'
import { exitCodes, Stop } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import { isUnicast } from '../../site/listeners.ts'
import { didYouMean } from '../../site/nearest.ts'
import { checkout } from '../prepare.ts'

const recipes = `${checkout}/templates/recipes`

const shape = z.strictObject({
  title: z.string(),
  values: z.record(z.string(), z.string()),
  parts: z.record(
    z.string(),
    z.strictObject({ what: z.string(), files: z.record(z.string(), z.string()), folders: z.array(z.string()) }),
  ),
  next: z.string(),
  checks: z.array(
    z.strictObject({
      id: z.string(),
      title: z.string(),
      name: z.string().optional(),
      type: z.enum(['A', 'CNAME']).optional(),
      get: z.string().optional(),
      head: z.string().optional(),
      status: z.int().optional(),
      has: z.string().optional(),
    }),
  ),
})

/** A stack that can be written down, as its recipe.yaml says: files by part, and what is to hold once it runs. */
export type Recipe = z.infer<typeof shape>
export type RecipeCheck = Recipe['checks'][number]

const shown = (text: string): string => JSON.stringify(text.slice(0, 80))

/** Names of the recipes that there are, in the order of the alphabet. */
export const recipeNames = (look: Look): Promise<string[]> => look.list(recipes)

/** One by its name. Throws `Stop` (exit 2) where there is none. */
export async function recipeOf(look: Look, name: string): Promise<Recipe> {
  const all = await recipeNames(look)
  if (!all.includes(name))
    throw new Stop(
      exitCodes.usage,
      `There is no recipe ${shown(name)}${didYouMean(name, all) || `; there is ${all.join(', ')}.`}`,
    )
  return shape.parse(parse((await look.read(`${recipes}/${name}/recipe.yaml`)) ?? ''))
}

/** The text of one of a recipe's files, as it lies in the project. */
export const sourceOf = async (look: Look, recipe: string, file: string): Promise<string> =>
  (await look.read(`${recipes}/${recipe}/${file}`)) ?? ''

/** A text with its `{{name}}` replaced; what has no value stays. */
export const filled = (text: string, values: Record<string, string>): string =>
  text.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole)

const domain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/
const folder = /^\/[\w./-]*[\w-]$/

/** What is wrong with a value; undefined where nothing is. What it is is told by what it stands in for. */
function fault(name: string, value: string): string | undefined {
  if (name === 'publish')
    return isUnicast(value) ? undefined : 'one address of this machine (a wildcard would be open to everybody)'
  if (name === 'stack' || name === 'data') return folder.test(value) ? undefined : 'a folder from / on'
  return domain.test(value) ? undefined : 'a name in small letters, such as example.net'
}

/** Every value of a recipe, those that are given and those that follow. Throws `Stop` (exit 2) for one that is wrong or missing. */
export function valuesOf(recipe: Recipe, given: string[]): Record<string, string> {
  const known = Object.keys(recipe.values)
  const pairs = given.map((text) => {
    const [, name = text, value] = /^([^=]*)=(.*)$/.exec(text) ?? []
    if (value === undefined || !known.includes(name))
      throw new Stop(
        exitCodes.usage,
        value === undefined
          ? `--set takes NAME=VALUE, not ${shown(text)}.`
          : `The recipe has no ${shown(name)}${didYouMean(name, known) || `; it has ${known.join(', ')}.`}`,
      )
    return [name, value] as const
  })
  const values: Record<string, string> = {}
  const all = { ...recipe.values, ...Object.fromEntries(pairs) }
  for (const name of known) {
    const value = filled(all[name] ?? '', values)
    const message = value === '' ? 'missing' : fault(name, value)
    if (message)
      throw new Stop(
        exitCodes.usage,
        message === 'missing'
          ? `The recipe needs ${name}: --set ${name}=…`
          : `${name} takes ${message}, not ${shown(value)}; nothing was changed.`,
      )
    values[name] = value
  }
  return values
}
