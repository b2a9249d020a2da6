import { ownNames } from '../../lib/platform/own-names.ts'
import { redactAll } from '../../lib/platform/redact.ts'
import { look, run, uid } from './mac.ts'
import { recordFacts } from './recorder/facts.ts'
import { step } from './step.ts'

/** Step 1: what this Mac is, and whether it has a desktop, without which nothing here can be shown. */
await step('facts', async ({ holds, note, keep }) => {
  const facts = redactAll(await recordFacts(look), await ownNames(look))
  keep('facts.json', `${JSON.stringify(facts, null, 1)}\n`)
  const said = (word: string) => facts.commands.find(({ argv }) => argv.join(' ') === word)?.stdout.trim() ?? ''
  note(said('sw_vers').replaceAll(/\s+/g, ' '))
  note(`${said('uname -srm')}, ${said('sysctl -n machdep.cpu.brand_string')}, ${said('csrutil status')}`)
  note(`${said('brew --version')}; ${said('node --version')}`)
  for (const [what, value] of Object.entries(facts.measured)) note(`${what}: ${value}`)
  const gui = await run(['launchctl', 'print', `gui/${uid}`])
  holds(
    'there is a desktop session (gui) that LaunchAgents can live in',
    gui.code === 0,
    `launchctl print ended with ${gui.code}`,
  )
  holds('the processor is Apple’s', said('sysctl -n hw.optional.arm64') === '1')
})
