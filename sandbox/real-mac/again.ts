import { ending, gateway, script } from './mac.ts'
import { step } from './step.ts'

/** Step 6: what is installed stays as it is, and says so. */
await step('again', async (row) => {
  if (!(await gateway(row))) return
  const again = await script('install.ts', '--yes')
  row.keep('install.txt', `${again.stdout}\n${again.stderr}`)
  row.holds('install.ts finds nothing to do', /Nothing to do/.test(again.stdout), ending(again))
  const status = await script('status.ts')
  row.keep('status.txt', `${status.stdout}\n${status.stderr}`)
  row.holds('status.ts ends with 0', status.code === 0, ending(status))
})
