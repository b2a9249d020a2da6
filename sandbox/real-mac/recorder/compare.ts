import type { Recorded } from './recording.ts'

/** Fields of `print` that must have the recorded value; what lib/ reads. */
const fields = ['path', 'state', 'program', 'runs', 'exit timeout', 'minimum runtime', 'last exit code', 'spawn type']

/** The lines of `launchctl print` that are indented by one tab: `name = value`. */
function values(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^\t(\S[^=\n]*?) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
}

function printed(recorded: string, own: string): string[] {
  const [theirs, ours] = [values(recorded), values(own)]
  const invented = [...ours.keys()].filter((name) => !theirs.has(name)).map((name) => `the Mac prints no "${name}"`)
  const other = fields
    .filter((name) => theirs.get(name) !== ours.get(name))
    .map((name) => `${name}: ${theirs.get(name)} on the Mac, ${ours.get(name)} here`)
  const had = (theirs.get('properties') ?? '').split(' | ')
  const more = (ours.get('properties') ?? '').split(' | ').filter((name) => !had.includes(name))
  return [...invented, ...other, ...more.map((name) => `the Mac has no property "${name}"`)]
}

/** The real program prints more than the stand-in, and nothing reads that; so each line of ours must be one of its. */
function within(recorded: string, own: string): string[] {
  const theirs = new Set(recorded.split('\n'))
  return own
    .split('\n')
    .filter((line) => !theirs.has(line))
    .map((line) => `the Mac prints no line ${JSON.stringify(line)}`)
}

function spoken(recorded: string, own: string, name: string): string[] {
  if (name.startsWith('print.') && name !== 'print.domain' && recorded.includes(' = {')) return printed(recorded, own)
  if (name === 'print.domain' || /^list\.(running|exited)$/.test(name)) return within(recorded, own)
  return recorded === own ? [] : [`prints ${JSON.stringify(recorded)} on the Mac, ${JSON.stringify(own)} here`]
}

function compared(theirs: Recorded, ours: Recorded | undefined): string[] {
  if (!ours) return ['the recorder does not ask this any more']
  return [
    ...(theirs.exit === ours.exit ? [] : [`exit code ${theirs.exit} on the Mac, ${ours.exit} here`]),
    ...(theirs.stderr === ours.stderr
      ? []
      : [`says ${JSON.stringify(theirs.stderr)} on the Mac, ${JSON.stringify(ours.stderr)} here`]),
    ...(ours.stdout === theirs.stdout ? [] : spoken(theirs.stdout, ours.stdout, theirs.name)),
  ]
}

/** Where a recording of the stand-in differs from that of a Mac: a sentence each. What the Mac was not asked does not count. */
export function differences(mac: Recorded[], standin: Recorded[]): string[] {
  return mac.flatMap((theirs) => {
    const found = compared(
      theirs,
      standin.find(({ name }) => name === theirs.name),
    )
    return found.map((difference) => `${theirs.name} (${theirs.when}): ${difference}`)
  })
}
