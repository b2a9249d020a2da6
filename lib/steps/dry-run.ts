import { createTwoFilesPatch } from 'diff'
import type { Host, Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'
import { fingerprintOf } from '../site/configuration.ts'

/** What would be done, in words. */
export interface Intent {
  kind: 'package' | 'file' | 'folder' | 'service' | 'sudo' | 'download' | 'removal' | 'command'
  text: string
  /** a unified diff of a file that is there already */
  diff?: string
}

function classify(look: Look, argv: string[]): Intent {
  const text = argv.join(' ')
  if (argv[0] === 'sudo') return { kind: 'sudo', text }
  return { kind: platformOf(look).facts.kindOf(text) ?? 'command', text }
}

/** The fingerprint and the folder named after it change with everything, and would hide what did. */
const unnamed = (text: string): string =>
  text.replaceAll(/\/maps\/[0-9a-f]{12}\//g, '/maps/…/').replaceAll(/(?<=setenv CFG_ID )[0-9a-f]{64}/g, '…')

function difference(path: string, old: string, text: string): string | undefined {
  const [now, then] = [unnamed(old), unnamed(text)]
  return now === then ? undefined : createTwoFilesPatch(path, path, now, then, 'now', 'then', { context: 1 })
}

/** The same file of the configuration in use, which lies under its own fingerprint. */
async function inUse(look: Look, path: string, folder: string): Promise<string | undefined> {
  const { config, maps } = places(look)
  const fingerprint = fingerprintOf((await look.read(config)) ?? '')
  return fingerprint ? look.read(`${maps}/${fingerprint.slice(0, 12)}${path.slice(folder.length)}`) : undefined
}

/** A host that only says: what is written is kept in memory, so that a later step reads what an earlier one would have left. */
export function dryHost(look: Look, said: (intent: Intent) => void): Host {
  const written = new Map<string, string>()
  const nothing = async () => {}
  const file = async (path: string, text: string) => {
    const old = await look.read(path)
    if (old === text || /\.next$|\.new\/|\/state\//.test(path)) return
    const inside = /^.*\/maps\/[0-9a-f]+(?=\/)/.exec(path)?.[0]
    if (inside) {
      said({ kind: 'folder', text: inside })
      const before = await inUse(look, path, inside)
      const diff = before === undefined ? undefined : difference(path, before, text)
      if (diff) said({ kind: 'file', text: `${path} (changed)`, diff })
      return
    }
    // What the keys' maps and the certificates' files hold is nothing to be shown around.
    const secret = [places(look).keyMaps, places(look).certs].some((folder) => path.startsWith(`${folder}/`))
    const diff = old === undefined || secret ? undefined : difference(path, old, text)
    said({ kind: 'file', text: `${path} (${old === undefined ? 'new' : 'changed'})`, diff })
  }
  return {
    ...look,
    read: async (path) => written.get(path) ?? look.read(path),
    async run(argv) {
      said(classify(look, argv))
      return { code: 0, stdout: '', stderr: '' }
    },
    async write(path, text) {
      await file(path, text)
      written.set(path, text)
    },
    async folder(path) {
      if (!(await look.stat(path)) && !path.endsWith('.new')) said({ kind: 'folder', text: path })
    },
    async link(_target, path) {
      if (!path.endsWith('/current')) said({ kind: 'file', text: `${path} (a link)` })
    },
    async move(from, to) {
      const text = written.get(from)
      if (text === undefined) return said({ kind: 'folder', text: to })
      await file(to, text)
      written.set(to, text)
    },
    copy: nothing,
    async remove(path) {
      if (await look.stat(path)) said({ kind: 'removal', text: path })
    },
    async post(_url, body, onLine) {
      said({ kind: 'download', text: `model ${(body as { model?: string }).model ?? ''}` })
      onLine?.('{"status":"success"}')
      return 200
    },
    async tell(_socket, command) {
      said({ kind: 'command', text: `haproxy: ${command}` })
      return ''
    },
    telling: (socket, talk) =>
      look.asking(socket, (ask) =>
        talk(async (command) => {
          if (command.startsWith('show ')) return ask(command)
          said({ kind: 'command', text: `haproxy: ${command}` })
          return ''
        }),
      ),
    async wake(mac) {
      said({ kind: 'command', text: `wake ${mac}` })
    },
    beside: () => () => {},
    async until(_what, _ms, test) {
      await test()
      return true
    },
  }
}
