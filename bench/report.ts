/** What a run says: Markdown, so that it can stand in docs/benchmarks.md as it is. */
export const say = (text: string): void => void process.stdout.write(`${text}\n`)

export const row = (...cells: (string | number)[]): void => say(`| ${cells.join(' | ')} |`)

export function head(...cells: string[]): void {
  row(...cells)
  row(...cells.map(() => '---'))
}

/** A time in ms as µs. */
export const us = (ms: number): string => `${Math.round(ms * 1000)} µs`

export interface Goal {
  what: string
  seen: string
  met: boolean
  wanted: string
}

const goals: Goal[] = []

/** Keeps whether a goal was met, for the table at the end. */
export const goal = (what: string, seen: string, met: boolean, wanted: string): void =>
  void goals.push({ what, seen, met, wanted })

/** All goals of this run and whether they were met. */
export function sayGoals(): void {
  if (goals.length === 0) return
  say('\n### Goals\n')
  head('goal', 'wanted', 'seen')
  for (const { what, wanted, seen, met } of goals) row(what, wanted, met ? `${seen}: met` : `${seen}: **missed**`)
}
