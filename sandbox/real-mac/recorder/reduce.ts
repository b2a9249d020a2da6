/** Variables that launchd or we put into a job's environment; all others are the owner's and are not recorded. */
const known = ['PATH', 'XPC_SERVICE_NAME', 'SSH_AUTH_SOCK', 'OSLogRateLimit', 'XPC_FLAGS', 'RECORDED']

function variable(line: string): string {
  const [name = '', value = ''] = line.trim().split(' => ')
  return `\t\t${known.includes(name) ? `${name} => ${value}` : 'OTHER => …'}`
}

/** `launchctl print` of a job without the owner's variables: each stands there as OTHER. */
export function job(text: string): string {
  let within = ''
  const lines = text.split('\n').map((line) => {
    const opened = /^\t(\S.*) = \{$/.exec(line)?.[1]
    if (opened !== undefined) within = opened
    else if (line === '\t}') within = ''
    return within.endsWith('environment') && line.startsWith('\t\t') ? variable(line) : line
  })
  return lines.filter((line, at) => line !== '\t\tOTHER => …' || lines[at - 1] !== line).join('\n')
}

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
