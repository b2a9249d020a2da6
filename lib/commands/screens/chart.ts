import { columns } from './wrap.ts'

/** What was used on a day, by model; seconds of generation. */
export type Day = { day: string; seconds: Record<string, number> }

/** One letter for each of the models that had most, and one for all others. */
const letters = ['█', '▒', '░', '·']
const others = 'other models'

const total = (amounts: number[]): number => amounts.reduce((sum, one) => sum + one, 0)

/** The models by what they had in all, the largest first; from the fourth on they are others. */
function namesOf(days: Day[]): string[] {
  const sums = new Map<string, number>()
  for (const { seconds } of days)
    for (const [model, amount] of Object.entries(seconds)) sums.set(model, (sums.get(model) ?? 0) + amount)
  const names = [...sums]
    .filter(([, sum]) => sum > 0)
    .sort(([, one], [, other]) => other - one)
    .map(([name]) => name)
  return names.length > letters.length ? [...names.slice(0, letters.length - 1), others] : names
}

/** A day's bar: each model ends where the sum up to it ends, so that rounding adds up to nothing. */
function bar({ seconds }: Day, names: string[], most: number, width: number): string {
  const own = names.map((name) => seconds[name] ?? 0)
  const rest = total(Object.entries(seconds).flatMap(([name, amount]) => (names.includes(name) ? [] : [amount])))
  const amounts = names.at(-1) === others ? [...own.slice(0, -1), rest] : own
  let [sum, drawn] = [0, 0]
  return amounts
    .map((amount, at) => {
      sum += amount
      const upTo = sum > 0 ? Math.max(1, Math.round((sum / most) * width)) : 0
      const piece = (letters[at] ?? '').repeat(Math.max(0, upTo - drawn))
      drawn = Math.max(drawn, upTo)
      return piece
    })
    .join('')
}

/** Bars in plain text, a line a day, no wider than `width`; `spoken` says a number of seconds. Nothing where nothing was generated. */
export function chart(days: Day[], width: number, spoken: (seconds: number) => string): string[] {
  const sums = days.map(({ seconds }) => total(Object.values(seconds)))
  const most = Math.max(...sums, 0)
  if (most === 0) return []
  const names = namesOf(days)
  const said = sums.map((sum) => (sum > 0 ? spoken(sum) : '-'))
  const room = width - 'YYYY-MM-DD'.length - Math.max(...said.map(({ length }) => length)) - 6
  const bars = days.map((day) => bar(day, names, most, room))
  return [
    ...columns(days.map(({ day }, at) => [day, bars[at] ?? '', said[at] ?? ''])),
    `  ${names.map((name, at) => `${letters[at]} ${name || 'no model'}`).join('  ')}`,
  ]
}
