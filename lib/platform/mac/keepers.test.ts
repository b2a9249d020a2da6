import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { parseProcesses } from '../ps.ts'
import { keepers } from './keepers.ts'
import { parseServices } from './launchd.ts'
import { processes } from './processes.ts'

const who = {
  home: '/Users/ada',
  system: 'mac' as const,
  uid: 501,
  ssh: false,
  packager: { program: '/opt/homebrew/bin/brew', prefix: '/opt/homebrew' },
}

/** `launchctl print DOMAIN`, with rows as macOS 26 writes them. */
const services = (...rows: [pid: number, label: string][]) => ({
  stdout: `gui/501 = {\n\ttype = login\n\tservices = {\n${rows.map(([pid, label]) => `\t\t${`${pid}`.padStart(8)}      - \t${label}`).join('\n')}\n\t}\n}\n`,
})

const table = (...rows: string[]) => parseProcesses(rows.join('\n'))

it('the jobs of a domain are told by their processes', () => {
  expect(parseServices(services([0, 'a'], [512, 'com.me.ollama']).stdout)).toEqual(new Map([[512, 'com.me.ollama']]))
})

it('programs are told by their words, also by what they call themselves', () => {
  const names = [
    'nginx: master process /opt/x',
    '-zsh',
    '/usr/bin/ssh -N x',
    '/Applications/Docker.app/Contents/MacOS/com.docker.backend run',
  ]
  expect(names.map((args) => processes.name({ pid: 2, parent: 1, user: 'ada', args }))).toEqual([
    'nginx',
    'zsh',
    'ssh',
    'Docker',
  ])
})

describe('who starts it again', () => {
  const commands = {
    'launchctl print gui/501': services(
      [40, 'com.me.ollama'],
      [50, 'application.com.apple.Terminal.1'],
      [60, 'com.me.supervisor'],
      [61, 'homebrew.mxcl.ollama'],
    ),
    'launchctl print gui/501/com.me.ollama': { stdout: '\tpath = /Users/ada/Library/LaunchAgents/me’s.plist\n' },
    'launchctl print gui/501/com.me.supervisor': { stdout: '\tpath = /Library/LaunchAgents/s.plist\n' },
    'launchctl print gui/501/homebrew.mxcl.ollama': {
      stdout: '\tpath = /Users/ada/Library/LaunchAgents/homebrew.mxcl.ollama.plist\n',
    },
    'launchctl print user/501': services([70, 'com.ollama']),
    'launchctl print user/501/com.ollama': { stdout: '\tpath = /Users/ada/Library/LaunchAgents/com.ollama.plist\n' },
    'launchctl print system': services(
      [80, 'com.corp.ollama'],
      [81, 'homebrew.mxcl.ollama'],
      [82, 'com.openssh.sshd.1'],
    ),
    'launchctl print system/': { stdout: '\tpath = /Library/LaunchDaemons/x.plist\n' },
  }
  const all = table(
    '    1     0 root   /sbin/launchd',
    '   40     1 ada    /opt/homebrew/bin/ollama serve',
    '   50     1 ada    /System/Applications/Utilities/Terminal.app/Contents/MacOS/Terminal',
    '   51    50 root   login -pf ada',
    '   52    51 ada    -zsh',
    '   53    52 ada    ollama serve',
    '   54     1 ada    tmux new -d',
    '   55    54 ada    zsh',
    '   56    55 ada    ollama serve',
    '   57    52 ada    /bin/bash ./keep.sh',
    '   58    57 ada    caffeinate -i ollama serve',
    '   59    58 ada    ollama serve',
    '   60     1 ada    /usr/bin/python3 supervisord',
    '   62    60 ada    ollama serve',
    '   61     1 ada    /opt/homebrew/opt/ollama/bin/ollama serve',
    '   70     1 ada    ollama serve',
    '   80     1 root   ollama serve',
    '   81     1 root   ollama serve',
    '   82     1 root   sshd: ada',
    '   83    82 ada    -zsh',
    '   84    83 ada    ollama serve',
    '   85     1 ada    ollama serve',
    '   86     1 ada    /Applications/Msty.app/Contents/MacOS/Msty',
    '   87    86 ada    ollama serve',
  )
  const of = (pid: number) => keepers.of(memoryHost({ commands }), who, all, pid)

  it('a LaunchAgent is switched off and booted out, and comes back by the same', async () => {
    expect(await of(40)).toEqual({
      who: 'the LaunchAgent com.me.ollama',
      job: 'gui/501/com.me.ollama',
      stop: [
        ['launchctl', 'disable', 'gui/501/com.me.ollama'],
        ['launchctl', 'bootout', 'gui/501/com.me.ollama'],
      ],
      back: [
        'sh',
        '-c',
        "launchctl enable gui/501/com.me.ollama; launchctl bootstrap gui/501 '/Users/ada/Library/LaunchAgents/me’s.plist'",
      ],
    })
  })

  it.each([
    ['a job that runs what runs it', 62, 'the LaunchAgent com.me.supervisor'],
    ['Homebrew', 61, 'the Homebrew service ollama'],
    ['a LaunchDaemon', 80, 'the LaunchDaemon com.corp.ollama'],
    ['root’s Homebrew service', 81, 'the Homebrew service ollama of root'],
    ['a shell in a terminal', 53, '-zsh (process 52)'],
    ['a shell in tmux', 56, 'zsh (process 55, in tmux)'],
    ['a script, behind a program that only runs others', 59, '/bin/bash ./keep.sh (process 57)'],
    ['a shell over ssh', 84, '-zsh (process 83)'],
  ])('%s', async (_what, pid, words) => expect(await of(pid)).toMatchObject({ who: words }))

  it('Homebrew stops its service itself', async () => {
    expect(await of(61)).toMatchObject({
      stop: [['/opt/homebrew/bin/brew', 'services', 'stop', 'ollama']],
      back: ['/opt/homebrew/bin/brew', 'services', 'start', 'ollama'],
    })
  })

  it.each([
    [80, 'sudo launchctl bootout system/com.corp.ollama; sudo launchctl disable system/com.corp.ollama'],
    [81, 'sudo brew services stop ollama'],
  ])('what root started (%s) is left to its owner, with the very command', async (pid, must) =>
    expect(await of(pid)).toMatchObject({ stop: [], must }),
  )

  it('a name of ours is not switched off, since that would switch off our own job, too', async () => {
    expect(await of(70)).toMatchObject({ stop: [['launchctl', 'bootout', 'user/501/com.ollama']] })
  })

  it('a script is ended before what it starts; what a person types into is not', async () => {
    expect(await of(59)).toMatchObject({
      stop: [
        ['kill', '57'],
        ['kill', '59'],
      ],
    })
    expect(await of(53)).toMatchObject({ stop: [['kill', '53']], must: expect.stringContaining('Ctrl-C') })
    expect(await of(87)).toMatchObject({ stop: [['kill', '87']], must: 'quit Msty' })
  })

  it('nobody is seen behind one that was left behind', async () => expect(await of(85)).toBeUndefined())
})

describe('jobs that are written down', () => {
  const plist = (label: string, more = '<key>RunAtLoad</key><true/>') =>
    `<?xml version="1.0"?><plist version="1.0"><dict><key>Label</key><string>${label}</string><key>ProgramArguments</key><array><string>/opt/homebrew/bin/ollama</string><string>serve</string></array>${more}</dict></plist>`
  const found = async (files: Record<string, string>, disabled = '') =>
    (
      await keepers.written(
        memoryHost({
          files: new Map(Object.entries(files)),
          commands: {
            'launchctl print-disabled': { stdout: disabled },
            plutil: { stdout: plist('com.binary') },
          },
        }),
        who,
        /ollama/,
      )
    ).map(({ keeper }) => keeper.job)
  const agents = '/Users/ada/Library/LaunchAgents'

  it('are found wherever launchd reads, in either form', async () => {
    expect(
      await found({
        [`${agents}/com.me.plist`]: plist('com.me'),
        [`${agents}/com.binary.plist`]: 'bplist00\u0001',
        '/Library/LaunchAgents/com.corp.plist': plist(
          'com.corp',
          '<key>KeepAlive</key><dict><key>Crashed</key><true/></dict>',
        ),
        '/Library/LaunchDaemons/com.daemon.plist': plist('com.daemon'),
      }),
    ).toEqual(['gui/501/com.binary', 'gui/501/com.me', 'gui/501/com.corp', 'system/com.daemon'])
  })

  it('do not count where launchd would not start them, nor where they are ours', async () => {
    const disabled = '\t"com.off" => disabled\n'
    expect(
      await found(
        {
          [`${agents}/com.ollama.plist`]: plist('com.ollama'),
          [`${agents}/com.off.plist`]: plist('com.off'),
          [`${agents}/com.asked.plist`]: plist('com.asked', ''),
          [`${agents}/com.shut.plist`]: plist('com.shut', '<key>RunAtLoad</key><true/><key>Disabled</key><true/>'),
          [`${agents}/com.other.plist`]: plist('com.other').replaceAll('ollama', 'other'),
          [`${agents}/broken.plist`]: 'ollama <plist>',
        },
        disabled,
      ),
    ).toEqual([])
  })
})
