export { withoutVariables as job } from '../../../lib/platform/mac/told.ts'

/** `launchctl print` of a domain: its fields' names, and no value but its kind; the rest are the owner's programs. */
export function domain(text: string): string {
  const fields = text.split('\n').flatMap((line) => {
    const [, name, value] = /^\t([a-z ]+) = ([^{]*)$/.exec(line) ?? []
    if (name === undefined) return /^\t([a-z ]+) = \{$/.test(line) ? [line] : []
    return [`\t${name} = ${['type', 'session'].includes(name) ? value : '…'}`]
  })
  return fields.length > 0 ? `${[...new Set(fields)].join('\n')}\n` : text
}

/** `launchctl list`: the heading and our own row. */
export const rows =
  (label: string) =>
  (text: string): string =>
    text
      .split('\n')
      .filter((line, at) => at === 0 || line === '' || line.endsWith(`\t${label}`))
      .join('\n')

/** `launchctl print-disabled`: the frame and our own line. */
export const disabled =
  (label: string) =>
  (text: string): string => {
    const frame = text.split('\n').filter((line) => !line.startsWith('\t\t') || line.includes(`"${label}"`))
    const end = frame.indexOf('\t}')
    return end < 0 ? frame.join('\n') : `${frame.slice(0, end + 1).join('\n')}\n`
  }
