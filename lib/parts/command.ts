import type { Host, Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { saveReceipt } from '../steps/receipt.ts'
import { absent, tilde } from '../steps/resources.ts'
import { advice, again, type Check, missed, ok, type Step } from '../steps/step.ts'
import type { Part } from './part.ts'
import { runtime } from './runtime.ts'

/** The file that the command leads to, and the link that is typed. */
export function commandOf(machine: Pick<Machine, 'home' | 'system' | 'packager'>): { program: string; link: string } {
  const folder = platformOf(machine).packages.commands(machine.packager)
  return { program: `${places(machine).current}/templates/bin/rop`, link: `${folder}/rop` }
}

/** Whether the link is there and ours. */
export const linked = async (look: Look, machine: Pick<Machine, 'home' | 'system' | 'packager'>): Promise<boolean> => {
  const { program, link } = commandOf(machine)
  return (await look.stat(link))?.target === program
}

function onPath(machine: Machine, setup: Setup): Step {
  const { program, link } = commandOf(machine)
  const other = `${link} is another program`
  return {
    id: 'command.link',
    title: 'The command rop is on the PATH',
    async check(look) {
      const there = await look.stat(link)
      if (!there) return missed(`${tilde(look, link)} is not there`, again)
      return there.target === program ? ok(link) : advice(other, `Type ours in full: '${tilde(look, program)}' status`)
    },
    async apply(host) {
      setup.receipt.links = [...new Set([...setup.receipt.links, link])]
      await saveReceipt(host, setup.receipt)
      await host.link(program, link)
    },
    undone: 'The command rop is gone',
    async theirs(look) {
      const there = await look.stat(link)
      return there && there.target !== program ? other : undefined
    },
    async undo(host: Host) {
      await host.remove(link)
      setup.receipt.links = setup.receipt.links.filter((path) => path !== link)
      await saveReceipt(host, setup.receipt)
    },
    gone: (look) => absent(look, link),
  }
}

const reached = (machine: Machine): Check => ({
  id: 'command.path',
  title: 'The shell finds the command rop',
  needs: ['command.link'],
  check: async (look) =>
    (await found(look, machine))
      ? ok(commandOf(machine).link)
      : advice(
          'this shell does not find rop, since its folder is not on the PATH',
          platformOf(machine).packages.reach(machine.packager),
        ),
})

/** Whether `rop` is what a person can type here. */
export const found = async (look: Look, machine: Pick<Machine, 'home' | 'system' | 'packager'>): Promise<boolean> =>
  (await linked(look, machine)) && (await look.find(['rop'])) === commandOf(machine).link

/** The one command that all else is done with, and the copy that it and the jobs run. */
export const command: Part = {
  name: 'command',
  about: (machine) => ({ title: 'rop', what: 'the command, and what services run', where: commandOf(machine).link }),
  steps: (machine, setup) => [...runtime(machine, setup), onPath(machine, setup)],
  checks: (machine) => [reached(machine)],
}
