const times: Record<string, number> = { s: 1, m: 60, h: 3600 }
const sizes: Record<string, number> = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }

/** What may be used up a day: seconds of generation, bytes of answers; what is absent has no end. */
export interface Budget {
  seconds?: number
  bytes?: number
}

/** Reads `2h`, `200MB` or `2h,200MB`; undefined when it is none of these. */
export function parseBudget(text: string): Budget | undefined {
  const budget: Budget = {}
  for (const part of text.split(',')) {
    const [, count = '', unit = ''] = /^([1-9]\d{0,4})(s|m|h|KB|MB|GB)$/.exec(part.trim()) ?? []
    const field = unit in times ? 'seconds' : 'bytes'
    if (!unit || budget[field] !== undefined) return undefined
    budget[field] = Number(count) * (times[unit] ?? sizes[unit] ?? 0)
  }
  return (budget.seconds ?? 0) > 86_400 ? undefined : budget
}

const inUnits = (count: number, units: Record<string, number>): string => {
  const [unit = '', size = 1] = Object.entries(units).findLast(([, one]) => count % one === 0) ?? []
  return `${count / size}${unit}`
}

/** The same as it is written: `2h,200MB`. */
export const budgetText = ({ seconds, bytes }: Budget): string =>
  [seconds && inUnits(seconds, times), bytes && inUnits(bytes, sizes)].filter(Boolean).join(',')
