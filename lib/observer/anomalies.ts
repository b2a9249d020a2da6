import { findingOf, isRenewed, standingOf } from '../certificates/checks.ts'
import { engineLoad, engineUp, isDraining, workerInfo } from '../haproxy/runtime.ts'
import type { Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { bans as listBans } from '../people/bans.ts'
import { readRegistry } from '../people/given.ts'
import { places, platformOf } from '../platform/here.ts'
import { noKeys } from '../site/limits.ts'
import { modelsFolder, type Settings } from '../site/settings.ts'
import { advice, type Check, ok, skipped } from '../steps/step.ts'

const gigabyte = 1024 ** 3
const dayMs = 24 * 3_600_000
/** Bans at once that are more than somebody's mistyped key. */
const storm = 3

/** A check that somebody is told of when it finds something. */
export interface Alarm extends Check {
  /** how that is told, to be followed by what was seen in brackets */
  alarm: string
}

/** What is not as on other days, though every part is in order; status shows it, the observer can tell it. */
export const anomalies = (settings: Settings): Check[] => [...unusual(settings), expiringKeys()]

const unusual = (settings: Settings): Alarm[] => [longQueue(settings), bans(), pressure()]

/** What the observer tells, the gravest first: that nobody gets an answer, what is unusual, and each key that ends soon. */
export async function alarms(look: Look, settings: Settings): Promise<Alarm[]> {
  // Keys that cannot be read are a fault of their own, and no reason to say nothing of a stopped gateway.
  const { keys } = await readRegistry(look).catch(() => noKeys)
  const ending = Object.entries(keys).flatMap(([name, { expires }]) => (expires ? [endingKey(name, expires)] : []))
  const secured = Object.keys(settings.tls).map((name) => certificate(settings, name))
  return [gateway(), tailnet(), engine(settings), disk(settings), ...secured, ...unusual(settings), ...ending]
}

const see = `See: ${typed('doctor')}`

const gateway = (): Alarm => ({
  id: 'anomaly.gateway',
  title: 'The gateway answers',
  alarm: 'The gateway is down',
  check: async (look) => ((await workerInfo(look)) ? ok('it does') : advice('nobody gets an answer', see)),
})

/** HAProxy keeps its socket when the address goes, and nobody reaches it. */
const tailnet = (): Alarm => ({
  id: 'anomaly.tailnet',
  title: 'This machine is on the tailnet',
  alarm: 'This machine is off the tailnet',
  async check(look) {
    const configured = /^ {4}bind ([\d.]+):\d+(?: name tailnet)?$/m.exec(
      (await look.read(places(look).config)) ?? '',
    )?.[1]
    if (configured === undefined) return skipped('nothing is configured')
    const there = (await platformOf(look).addresses.all(look)).some(({ address }) => address === configured)
    return there ? ok(configured) : advice('nobody gets an answer', see)
  },
})

const engine = ({ role, nodes }: Settings): Alarm => ({
  id: 'anomaly.engine',
  title: 'Ollama answers the gateway',
  alarm: 'Ollama is down',
  async check(look) {
    if (role === 'gateway' && Object.keys(nodes).length === 0) return skipped('it has no node yet')
    if (!(await workerInfo(look))) return skipped('the gateway does not answer')
    if (await isDraining(look)) return skipped('it is being restarted')
    return (await engineUp(look)) ? ok('up') : advice('no model answers', see)
  },
})

const disk = (settings: Settings): Alarm => ({
  id: 'anomaly.disk',
  title: 'The disk has room',
  alarm: 'The disk is nearly full',
  async check(look) {
    const here = settings.role === 'server'
    // A home is hidden from the observer's unit on Linux, and what stands there instead lies in memory.
    const { state } = places(look)
    const folders = here ? [state, modelsFolder(settings, look)] : [state]
    const free = Math.min(...(await Promise.all(folders.map((folder) => look.free(folder)))))
    const text = `${(free / gigabyte).toFixed(1)} GB free`
    // Hardly a model fits into 5 GB; a gateway without one writes only its log, which is bounded.
    if (free >= (here ? 5 : 1) * gigabyte) return ok(text)
    return advice(text, `Remove what is not needed${here ? '; `ollama rm` removes a model' : ''}.`)
  },
})

/** From a third of its life on, unless it is renewed, and whenever something else is served than what is kept. */
const certificate = (settings: Settings, name: string): Alarm => ({
  id: `anomaly.certificate-${name}`,
  title: `${name} is served with a certificate that lasts`,
  alarm: `The certificate of ${name} is not as it should be`,
  async check(look) {
    if (!(await workerInfo(look))) return skipped('the gateway does not answer')
    const found = findingOf(await standingOf(look, name), isRenewed(settings, name))
    return found.is === 'missed' ? advice(found.saw, see) : found
  },
})

/** From three days before its end to three days after. */
const endingKey = (name: string, expires: string): Alarm => ({
  id: `anomaly.key-${name}`,
  title: `Nothing is to be done about the key of ${name}`,
  alarm: `The key of ${name} ${Date.parse(expires) > Date.now() ? 'ends soon' : 'has ended'}`,
  check: async () =>
    Math.abs(Date.parse(expires) - Date.now()) < 3 * dayMs
      ? advice(`on ${expires.slice(0, 10)}`, `Let it go on: ${typed(`keys limits ${name}`)} --expires 90d`)
      : ok(`until ${expires.slice(0, 10)}`),
})

function longQueue({ queue }: Settings): Alarm {
  return {
    id: 'anomaly.queue',
    title: 'The queue for a model is short',
    alarm: 'Many requests wait for a model',
    async check(look) {
      const load = await engineLoad(look)
      if (!load) return skipped('the gateway does not answer')
      const text = `${load.waiting} requests wait for a model, ${load.running} are being answered`
      return load.waiting > queue.max / 2
        ? advice(
            text,
            `See who asks: ${typed('status')} --watch; limit them: ${typed('keys')} limits NAME --concurrent 2`,
          )
        : ok(text)
    },
  }
}

function bans(): Alarm {
  return {
    id: 'anomaly.bans',
    title: 'No crowd of addresses guesses keys',
    alarm: 'Several devices guess keys',
    async check(look) {
      if (!(await engineLoad(look))) return skipped('the gateway does not answer')
      const banned = (await listBans(look)).map(({ address }) => address)
      const text = banned.length === 0 ? 'nobody is banned' : `banned for wrong keys: ${banned.join(', ')}`
      return banned.length >= storm ? advice(text, 'See which devices these are: tailscale status') : ok(text)
    },
  }
}

function expiringKeys(): Check {
  return {
    id: 'anomaly.keys',
    title: 'No key ends within a week',
    async check(look) {
      const { keys } = await readRegistry(look)
      const soon = Object.entries(keys).flatMap(([name, { expires }]) => {
        const left = expires ? Date.parse(expires) - Date.now() : Number.POSITIVE_INFINITY
        return left > 0 && left < 7 * dayMs ? [`${name} on ${expires?.slice(0, 10)}`] : []
      })
      return soon.length > 0
        ? advice(`keys that end within a week: ${soon.join(', ')}`, `${typed('keys')} limits NAME --expires 90d`)
        : ok(`${Object.keys(keys).length} keys`)
    },
  }
}

function pressure(): Alarm {
  return {
    id: 'anomaly.memory',
    title: 'The system has memory to give',
    alarm: 'Memory runs out, so answers become slow',
    async check(look) {
      const level = await platformOf(look).facts.pressure(look)
      if (level === undefined) return skipped('this machine does not say')
      return level === 'none'
        ? ok('no pressure')
        : advice(
            `memory pressure is ${level}, so answers become slow`,
            'Use a smaller model or context, or close other programs.',
          )
    },
  }
}
