import type { Look } from '../host/host.ts'
import { jobPath, labels, places, platformOf } from '../platform/here.ts'
import { engineProgram } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import type { Receipt } from '../site/receipt.ts'
import type { Setup } from '../site/setup.ts'
import { isForeign } from '../steps/receipt.ts'

/** The programs that jobs run, by paths that outlive an upgrade. */
export async function programsOf(look: Look, machine: Machine, receipt: Receipt): Promise<Setup['programs']> {
  return {
    ollama: await engineProgram(look, machine),
    haproxy: platformOf(machine).packages.program(machine.packager, 'haproxy'),
    node: await nodeProgram(look, receipt),
  }
}

/** Whether a path outlives an upgrade, and is there. */
const lasts = async (look: Look, program: string): Promise<boolean> =>
  program === platformOf(look).packages.stable(program) && (await look.find([program])) !== undefined

/** What was written down before stays as long as it is there, since install.ts and status.ts may be run by two Nodes. */
async function nodeProgram(look: Look, receipt: Receipt): Promise<string> {
  const { jobFiles, packages, ownNode } = platformOf(look)
  if (ownNode !== undefined) return ownNode
  for (const label of [labels(look).observer, labels(look).warm]) {
    if (await isForeign(look, receipt, jobPath(look, label))) continue
    const written = (await jobFiles.written(look, label))?.variable('NODE')
    if (written && (await lasts(look, written))) return written
  }
  const recorded = (await look.read(places(look).node))?.trim()
  if (recorded && (await lasts(look, recorded))) return recorded
  // Not the one in PATH: version managers put a path there that ends with the shell.
  return packages.stable(process.execPath)
}
