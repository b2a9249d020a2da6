import { columns } from './wrap.ts'

/** What an uninstall does with one step of a part. */
export interface Removal {
  /** the part, as the plan of an install names it */
  part: string
  /** what is true afterwards; absent where there is nothing of it to be removed */
  gone?: string
  /** what stays, and why */
  stays?: string
}

/** What would go and what stays, by part, as the plan of an install has it. */
export function removalScreen(removals: Removal[]): string {
  const gone = rows(removals, ({ gone }) => gone)
  const stays = rows(removals, ({ stays }) => stays)
  const count = removals.filter((one) => one.gone !== undefined).length
  return [
    ...(count === 0
      ? ['Nothing is left to be removed.']
      : [`What will be removed (${count === 1 ? '1 step' : `${count} steps`}):`, ...gone]),
    ...(stays.length > 0 ? ['What stays:', ...stays] : []),
  ].join('\n')
}

function rows(removals: Removal[], text: (one: Removal) => string | undefined): string[] {
  const parts = [...new Set(removals.map(({ part }) => part))]
  return columns(
    parts.flatMap((part) => {
      const texts = removals.filter((one) => one.part === part).flatMap((one) => text(one) ?? [])
      return texts.length > 0 ? [[part, [...new Set(texts)].join('; ')]] : []
    }),
  )
}
