import type { Look } from '../host/host.ts'
import { jobPath, labels, platformOf } from '../platform/here.ts'
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

/** What was written down before stays as long as it is there, since install.ts and status.ts may be run by two Nodes. */
async function nodeProgram(look: Look, receipt: Receipt): Promise<string> {
  const { jobFiles, packages } = platformOf(look)
  for (const label of [labels.observer, labels.warm]) {
    if (await isForeign(look, receipt, jobPath(look, label))) continue
    const written = (await jobFiles.written(look, label))?.variable('NODE')
    if (written !== undefined && written === packages.stable(written) && (await look.find([written]))) return written
  }
  // Not the one in PATH: version managers put a path there that ends with the shell.
  return packages.stable(process.execPath)
}
