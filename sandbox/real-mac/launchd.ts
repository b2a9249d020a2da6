import { join } from 'node:path'
import { ownNames } from '../../lib/platform/own-names.ts'
import { redactAll } from '../../lib/platform/redact.ts'
import { look, uid } from './mac.ts'
import { recordLaunchd } from './recorder/launchd.ts'
import { writeRecording } from './recorder/recording.ts'
import { results, step } from './step.ts'

/** Step 4: how launchctl answers here, as a folder for sandbox/transcripts/launchd. */
await step('launchd', async ({ holds, note, keep }) => {
  const version = (await look.query(['sw_vers', '-productVersion'])).stdout.trim()
  const launchctl = (...argv: string[]) => look.query(['launchctl', ...argv], { timeoutMs: 60_000 })
  const label = `org.example.recorder-${process.pid}`
  const { recorded, timings } = await recordLaunchd({ launchctl, uid, home: look.home, label, disables: true })
  const folder = join(results, 'launchd', version)
  writeRecording(folder, redactAll(recorded, await ownNames(look)))
  keep('timings.json', `${JSON.stringify(timings, null, 1)}\n`)
  const exit = (name: string) => recorded.find((one) => one.name === name)?.exit
  holds('a fresh property list is loaded', exit('bootstrap.fresh') === 0, `exit code ${exit('bootstrap.fresh')}`)
  holds('what was booted out is gone', exit('print.unknown') === 113, `exit code ${exit('print.unknown')}`)
  for (const name of ['loaded', 'dying', 'disabled', '0600', '0664', 'bad-xml', 'no-program'])
    note(`bootstrap, ${name}: ${exit(`bootstrap.${name}`)}`)
  note(`gone after bootout: ${timings['gone after bootout']} ms; written to launchd/${version}`)
})
