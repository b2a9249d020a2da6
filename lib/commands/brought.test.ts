import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { emptyReceipt } from '../site/receipt.ts'
import { offerBrought } from './brought.ts'

const receipt = { ...emptyReceipt(), brought: ['tailscale', 'ollama', 'haproxy'] }

/** What is said, asked and run where somebody answers so, or nobody does. */
async function offered(answers: Record<string, boolean> | undefined, system: 'linux' | 'mac' = 'linux') {
  const host = memoryHost({ commands: { 'apt-get': {}, systemctl: {} } })
  const repository = ['/etc/apt/sources.list.d/tailscale.list', '/usr/share/keyrings/tailscale-archive-keyring.gpg']
  for (const file of repository) host.files.set(file, 'from its repository')
  const machine = { system, packager: { prefix: '/usr' } } as Machine
  const [said, asked] = [[] as string[], [] as [string, boolean][]]
  const ui = {
    attended: answers !== undefined,
    say: (text: string) => void said.push(text),
    async confirm(text: string, initial: boolean) {
      asked.push([text, initial])
      return Object.entries(answers ?? {}).some(([name, yes]) => yes && text.includes(name))
    },
  }
  await offerBrought(ui, host, machine, receipt)
  return { said, asked, ran: host.ran, host }
}

test('where nobody is asked every package that install brought stays, with the command that removes it', async () => {
  const { said, asked, ran } = await offered(undefined)
  expect([asked, ran]).toEqual([[], []])
  expect(said).toHaveLength(3)
  expect(said[0]).toMatch(/brought haproxy, which stays; it goes by: sudo apt-get remove haproxy$/)
  expect(said[1]).toMatch(/brought ollama, which stays; it goes by: sudo systemctl disable --now ollama && /)
})

test('somebody is asked for each, and what they do not say yes to stays', async () => {
  const { said, asked, ran } = await offered({ haproxy: true, ollama: true })
  expect(asked.map(([, initial]) => initial)).toEqual([false, false, false])
  expect(said.join()).toMatch(/brought tailscale, which stays/)
  expect(ran.filter((command) => command.startsWith('apt-get'))).toEqual([expect.stringMatching(/ remove haproxy$/)])
  expect(ran).toContain('systemctl disable --now ollama.service')
})

test('with Tailscale goes what tells apt to ask its repository', async () => {
  const { host } = await offered({ tailscale: true })
  expect([...host.files.keys()].filter((file) => file.includes('tailscale'))).toEqual([])
})

test('on a Mac, where Homebrew is its owner’s, nothing is offered', async () => {
  expect(await offered({ haproxy: true }, 'mac')).toMatchObject({ said: [], asked: [], ran: [] })
})
