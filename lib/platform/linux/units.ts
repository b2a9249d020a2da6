import type { JobFile, JobFiles } from '../platform.ts'
import { dropIn, labels, places } from './places.ts'

/** A drop-in beside a unit that is not ours, else the unit itself (systemd.unit(5)). */
const path = (_home: string, label: string): string =>
  label === labels.engine ? `${places().agents}/${label}.d/${dropIn}` : `${places().agents}/${label}`

/** A value within double quotes, where systemd reads escapes and specifiers (systemd.exec(5), systemd.unit(5)). */
const quoted = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('\n', '\\n')

const unquoted = (text: string): string =>
  text.replaceAll('%%', '%').replace(/\\([\\"n])/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))

/** The variables that a unit gives to its processes. */
export const variables = (text: string): [name: string, value: string][] =>
  [...text.matchAll(/^Environment="(\w+)=(.*)"$/gm)].map(([, name = '', value = '']) => [name, unquoted(value)])

/** The program and what it is told; undefined in a drop-in that says nothing of them. */
export const command = (text: string): string[] | undefined => {
  const line = /^ExecStart=(.*)$/m.exec(text)?.[1]
  return line === undefined ? undefined : [...line.matchAll(/"([^"]*)"/g)].map(([, word = '']) => unquoted(word))
}

const seconds = (text: string): number => Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1] ?? 90)

const jobFile = (label: string, text: string): JobFile => ({
  label,
  text,
  endsWithin: seconds(text),
  variable: (name) => variables(text).find(([one]) => one === name)?.[1],
})

/** The unit that a template is for stands in its first line. */
const labelOf = (template: string): string => /^# (\S+\.service):/.exec(template)?.[1] ?? ''

function lacks({ label, text }: JobFile): string[] {
  if (label === labels.engine) return []
  return [
    ...(/^WantedBy=/m.test(text) ? [] : ['WantedBy']),
    ...(/^(Restart=always|Type=oneshot)$/m.test(text) ? [] : ['Restart=always']),
  ]
}

export const jobFiles: JobFiles = {
  path,
  // A variable without a value is left out: systemd would give it to the process as an empty one.
  filled: (template, values) =>
    jobFile(
      labelOf(template),
      template
        .replace(/\{\{(\w+)\}\}/g, (whole, name: string) => {
          const value = values[name]
          return value === undefined ? whole : quoted(value)
        })
        .replace(/^Environment="\w+="\n/gm, ''),
    ),
  async written(look, label) {
    const text = await look.read(path('', label))
    return text === undefined ? undefined : jobFile(label, text)
  },
  lacks,
}
