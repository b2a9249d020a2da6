import { look } from './mac.ts'
import { rows, summarize, table } from './step.ts'

/** The whole run as one table: GitHub shows each step's summary apart, so only the last can have it. */
const version = (await look.query(['sw_vers', '-productVersion'])).stdout.trim()
const text = `## macOS ${version}\n\n${table(rows())}`
summarize(text)
process.stdout.write(`${text}\n`)
