import { afterEach, expect, test, vi } from 'vitest'
import { exitCodes, Unexpected } from '../host/command.ts'
import { realHost } from '../host/host.ts'
import { sendBySsh } from './pair-ssh.ts'

const to = 'root@10.50.0.3'

/** How it is told that a command ended so. */
async function told(code: number, stderr: string, stdout = ''): Promise<[number, string]> {
  const host = {
    ...realHost(),
    find: async () => '/usr/bin/ssh',
    run: async (argv: string[]) => {
      throw new Unexpected(argv, { code, stdout, stderr })
    },
  }
  const error = await sendBySsh(host, '/f', to).catch((caught: unknown) => caught)
  return [(error as { code: number }).code, (error as Error).message]
}

test.each([
  ['sh: 1: rop: not found', 127, 'has no rop in the PATH'],
  ['bash: line 1: rop: command not found', 127, 'has no rop in the PATH'],
  ['sudo: rop: command not found', 1, 'has no rop in the PATH'],
  ['sudo: a password is required', 1, 'sudo asks root@10.50.0.3 for a password'],
  ['ben is not in the sudoers file.', 1, 'sudo asks'],
  ['Sorry, user ben is not allowed to execute rop as root on b.', 1, 'sudo asks'],
  ['sh: 1: sudo: not found', 127, 'is not root there, and there is no sudo'],
])('what a shell or sudo there says, “%s”, is told with what to do', async (said, code, words) => {
  const outcome = await told(code, `Authorized users only.\n${said}\n`, 'clock 1\nclock 2\n')
  expect(outcome).toEqual([exitCodes.precondition, expect.stringContaining(words)])
  expect(outcome[1]).toMatch(/Nothing was changed\.$/)
})

test('what rop there refuses is told in its own words', async () => {
  const said = 'The settings of this machine have no vip, so it is no gateway of a pair.'
  expect(await told(3, `✗ ${said}\n`, 'clock 1\n')).toEqual([exitCodes.failed, `${to} did not take it: ${said}`])
})

test.each([
  [255, 'Timeout, server 10.50.0.3 not responding.'],
  [255, 'Connection to 10.50.0.3 closed by remote host.'],
  [124, ''],
])('a connection that ended with %d once it was taken is no refusal: %s', async (code, said) => {
  const [exit, words] = await told(code, said, 'clock 1\n')
  expect([exit, words]).toEqual([exitCodes.failed, expect.stringMatching(/all of it or nothing.*pair sync$/)])
})

test.each([
  ['kex_exchange_identification: read: Connection reset by peer', 'does not reach'],
  ['ssh: connect to host 10.50.0.3 port 22: No route to host', 'does not reach'],
  ['ssh: Could not resolve hostname b: Name or service not known', 'does not reach'],
  ['Bad owner or permissions on /root/.ssh/config', 'does not get to'],
  ['', 'it says nothing'],
])('ssh that ends before anything was taken, “%s”, has changed nothing', async (said, words) => {
  const [exit, sentence] = await told(255, said)
  expect([exit, sentence]).toEqual([exitCodes.precondition, expect.stringContaining(words)])
  expect(sentence).toMatch(/Nothing was changed\.$/)
})

afterEach(() => vi.unstubAllEnvs())

test.each([
  ['ann', ['sudo', '-n', '--preserve-env=SSH_AUTH_SOCK', '-u', 'ann', '--', 'ssh']],
  ['root', ['ssh']],
  [undefined, ['ssh']],
])('ssh runs as whoever typed sudo: %s', async (person, begins) => {
  vi.stubEnv('SUDO_USER', person)
  let ran: string[] = []
  const run = async (argv: string[]) => {
    ran = argv
    return { code: 0, stdout: '', stderr: '' }
  }
  await sendBySsh({ ...realHost(), find: async () => '/usr/bin/ssh', run }, '/f', to)
  expect(ran.slice(0, 4 + begins.length)).toEqual(['sh', '-c', 'exec "$@" < "$0"', '/f', ...begins])
})
