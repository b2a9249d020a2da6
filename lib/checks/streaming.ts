import { amiss, engineItself, once, proven, type Reply, type Trial, tokens, trial } from '../gateway/proofs/asking.ts'
import { serverEvents } from '../gateway/proofs/sse.ts'
import { bearer, type Target } from '../gateway/proofs/target.ts'
import type { Look, RawAnswer } from '../host/host.ts'
import { type Check, type Finding, skipped } from '../steps/step.ts'
import { chatPath as path, question, user } from './completions.ts'

/** A slow model may take this long (ms) for its few tokens, once it is loaded. */
const deadline = 45_000
const rounds = 3
/** ms after which a round is not repeated: so slow a model shows what it does at once */
const patience = 10_000
/** ms over which Ollama's own words must be spread before a miss is believed: a busy machine hands over less at once */
const telling = 100
/** An answer that was over before that, though it had all its tokens, is asked for again, so many times longer. */
const longer = 8

/** One answer, streamed through the gateway and by Ollama itself. */
interface Pair {
  proxied: RawAnswer
  direct: RawAnswer
}

/** Whether events come when they are said, not all at the end. */
export function streaming(target: Target): Check[] {
  const base = { group: 'openai', path, needs: ['openai.chat-stream'] } as const
  const pairs = once((look) => compare(look, target))
  const answer: Trial['answer'] = async (look) => (await pairs(look)).reply
  const among = (judge: (pair: Pair) => Finding) => async (_answer: RawAnswer, look: Look) =>
    best((await pairs(look)).pairs.map(judge))
  return [
    trial(target, {
      ...base,
      id: 'streaming.no-buffering',
      title: 'Streamed words arrive one after the other, as Ollama says them',
      answer,
      see: among(unbuffered),
    }),
    trial(target, {
      ...base,
      id: 'streaming.first-event-early',
      title: 'The first word arrives as early as from Ollama itself',
      answer,
      see: among(early),
    }),
    trial(target, {
      ...base,
      id: 'streaming.not-packed',
      title: 'A stream is not compressed, even for clients that could read it',
      answer,
      see: ({ headers }) => {
        const packed = headers['content-encoding']
        return proven('no content-encoding', packed !== undefined && `content-encoding: ${packed}`)
      },
    }),
  ]
}

/** One good round is enough: a busy machine can delay words, but no gateway that buffers lets them through in time. */
const best = (findings: Finding[]): Finding =>
  findings.find(({ is }) => is === 'ok') ??
  findings.findLast(({ is }) => is === 'missed') ??
  findings.at(-1) ??
  skipped('nothing was measured')

/** Up to three rounds, fewer when the first shows that all is well. */
async function compare(look: Look, target: Target): Promise<{ reply: Reply; pairs: Pair[] }> {
  const pairs: Pair[] = []
  let limit = tokens
  for (let number = 1; number <= rounds; number += 1) {
    const direct = await stream(look, engineItself(target), limit)
    const proxied = await stream(look, target, limit)
    const broken = [direct, proxied].find(({ end, status }) => end !== 'complete' || status !== 200)
    if (broken) return { reply: broken, pairs }
    pairs.push({ direct, proxied })
    const clear = [unbuffered, early].every((judge) => judge({ direct, proxied }).is === 'ok')
    if (clear || direct.ms + proxied.ms > patience) break
    const { spread, events } = timing(direct)
    if (spread < telling && events >= limit) limit *= longer
  }
  return { reply: pairs.at(-1)?.proxied ?? skipped('nothing was measured'), pairs }
}

const prompt = 'Count from 1 to 500, separated by blanks.'

const stream = (look: Look, target: Target, limit: number): Promise<RawAnswer> =>
  look.probe({
    address: target.address,
    port: target.port,
    method: 'POST',
    target: path,
    headers: {
      host: target.host,
      'content-type': 'application/json',
      'accept-encoding': 'gzip, deflate, br, zstd',
      ...bearer(target),
    },
    body: JSON.stringify(question(target, [user(prompt)], { stream: true, max_tokens: limit })),
    timeoutMs: deadline,
  })

/** ms of the first event and between the first and the last. */
function timing(answer: RawAnswer): { first: number; spread: number; events: number } {
  const times = serverEvents(answer).map(({ ms }) => ms)
  const first = times[0] ?? 0
  return { first, spread: (times.at(-1) ?? first) - first, events: times.length }
}

/** A gateway that gathers words hands them over at once: its spread shrinks to nothing while Ollama's does not. */
function unbuffered({ direct, proxied }: Pair): Finding {
  const [its, ours] = [timing(direct), timing(proxied)]
  if (its.events < 4 || its.spread < 3)
    return skipped(`Ollama itself sent ${its.events} events within ${its.spread.toFixed(1)} ms: too few to tell`)
  const saw = `${ours.events} events over ${ours.spread.toFixed(0)} ms (from Ollama itself over ${its.spread.toFixed(0)} ms)`
  if (ours.spread >= its.spread / 2) return proven(saw)
  return its.spread < telling ? skipped(`too quick to tell: ${saw}`) : amiss(`the words came at once: ${saw}`)
}

/** At most half an answer later than from Ollama itself, or 25 ms where answers are that short. */
function early({ direct, proxied }: Pair): Finding {
  const [its, ours] = [timing(direct), timing(proxied)]
  const late = ours.first - its.first
  const saw = `first event after ${ours.first.toFixed(0)} ms (from Ollama itself after ${its.first.toFixed(0)} ms)`
  return late > Math.max(25, its.spread / 2) ? amiss(`the first word is late: ${saw}`) : proven(saw)
}
