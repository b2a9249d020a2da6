import { engineLoad, engineUp } from '../haproxy/runtime.ts'
import { bans as listBans } from '../people/bans.ts'
import { readRegistry } from '../people/registry.ts'
import { platformOf } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import { advice, type Check, ok, skipped } from '../steps/step.ts'

const gigabyte = 1024 ** 3
const weekMs = 7 * 24 * 3_600_000
/** Bans at once that are more than somebody's mistyped key. */
const storm = 3

/** What is not as on other days, though every part is in order; status.ts shows it, the observer can tell it. */
export const anomalies = (settings: Settings): Check[] => [longQueue(settings), bans(), expiringKeys(), pressure()]

/** The same, with what other checks of status.ts see already. */
export const alarms = (settings: Settings): Check[] => [engine(), ...anomalies(settings), disk()]

function engine(): Check {
  return {
    id: 'anomaly.engine',
    title: 'Ollama answers the gateway',
    check: async (look) => ((await engineUp(look)) ? ok('up') : advice('it does not', 'See: npx tsx status.ts')),
  }
}

function disk(): Check {
  return {
    id: 'anomaly.disk',
    title: 'The disk has room',
    async check(look) {
      const free = await look.free(look.home)
      const text = `${(free / gigabyte).toFixed(1)} GB free`
      return free < 5 * gigabyte ? advice(text, 'Remove what is not needed; `ollama rm` removes a model.') : ok(text)
    },
  }
}

function longQueue({ queue }: Settings): Check {
  return {
    id: 'anomaly.queue',
    title: 'The queue for a model is short',
    async check(look) {
      const load = await engineLoad(look)
      if (!load) return skipped('the gateway does not answer')
      const text = `${load.waiting} wait, ${load.running} are being answered`
      return load.waiting > queue.max / 2
        ? advice(
            text,
            'See who asks: npx tsx status.ts --watch; limit them: npx tsx keys.ts limits NAME --concurrent 2',
          )
        : ok(text)
    },
  }
}

function bans(): Check {
  return {
    id: 'anomaly.bans',
    title: 'No crowd of addresses guesses keys',
    async check(look) {
      if (!(await engineLoad(look))) return skipped('the gateway does not answer')
      const banned = (await listBans(look)).map(({ address }) => address)
      const text = banned.length === 0 ? 'nobody is banned' : `banned: ${banned.join(', ')}`
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
        return left > 0 && left < weekMs ? [`${name} on ${expires?.slice(0, 10)}`] : []
      })
      return soon.length > 0
        ? advice(soon.join(', '), 'npx tsx keys.ts limits NAME --expires 90d')
        : ok(`${Object.keys(keys).length} keys`)
    },
  }
}

function pressure(): Check {
  return {
    id: 'anomaly.memory',
    title: 'The system has memory to give',
    async check(look) {
      const level = await platformOf(look).facts.pressure(look)
      if (level === undefined) return skipped('this machine does not say')
      return level === 'none'
        ? ok('no pressure')
        : advice(`memory pressure is ${level}`, 'Use a smaller model or context, or close other programs.')
    },
  }
}
