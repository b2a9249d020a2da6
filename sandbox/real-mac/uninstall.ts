import { listeners } from '../../lib/platform/here.ts'
import { agentFile } from '../../lib/platform/mac/launchd.ts'
import { describe } from '../../lib/platform/platform.ts'
import { ending, gateway, labels, look, mac, script, uid } from './mac.ts'
import { step } from './step.ts'

/** Step 13: nothing of ours is left. */
await step('uninstall', async (row) => {
  const at = await gateway(row)
  if (!at) return
  const said = await script('uninstall.ts', '--yes', '--purge')
  row.keep('uninstall.txt', `${said.stdout}\n${said.stderr}`)
  row.holds('uninstall.ts --yes --purge ends with 0', said.code === 0, ending(said))
  for (const label of Object.values(labels)) {
    const { code } = await look.query(['launchctl', 'print', `gui/${uid}/${label}`])
    row.holds(`launchd does not know ${label}`, code === 113, `launchctl print ended with ${code}`)
  }
  const files = [...Object.values(labels).map((label) => agentFile(look.home, label)), mac.proxy, mac.support]
  for (const file of [...files, mac.settingsFolder, mac.logs])
    row.holds(`${file} is gone`, (await look.stat(file)) === undefined)
  for (const port of new Set([at.port, at.settings.engine.port])) {
    const found = await listeners(look, port)
    row.holds(`nobody listens on port ${port}`, found.length === 0, found.map(describe).join(', '))
  }
})
