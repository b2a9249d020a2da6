import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateKey } from '../../lib/people/key.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { spkiOf } from '../lab/certificates.ts'
import { eventually } from '../lab/gateway.ts'
import { portsOf, reached, whyNoGround } from '../lab/ground.ts'
import { type Network, networks } from '../lab/networks.ts'
import {
  at,
  domain,
  gatewayPort,
  machines,
  model,
  nodes,
  pagePort,
  type SeedNetwork,
  type Side,
  startSeedNetwork,
  tailnet,
} from '../lab/seed-network.ts'
import { startBrowser } from '../page/browser.ts'
import { say, signIn, wordsSeen } from '../page/open-webui.ts'
import { startOpenWebui } from '../services/open-webui.ts'
import type { Serving } from '../services/program.ts'

const why = whyNoGround()
const [chat, twin] = [`https://chat.${domain}:12000`, `https://hal9000-api.${domain}:12000`]
const admin = { email: 'owner@example.net', password: generateKey() }
const shots = process.env.SHOTS
/** Open WebUI on hal9000, its models by the pair's address. */
const pageOn = ({ ground, keys, root }: SeedNetwork): Promise<Serving> =>
  startOpenWebui({
    ...{ folder: join(ground.folder, 'open-webui'), url: chat, admin, port: pagePort },
    ...{ engine: `https://ai.${domain}:11434/v1`, key: keys.page },
    place: { within: ground.within('hal9000'), address: at.hal9000 },
    env: {
      ...{ FORWARDED_ALLOW_IPS: `${at.a},${at.b}`, CORS_ALLOW_ORIGIN: `${chat};${twin}` },
      ...{ SSL_CERT_FILE: root, REQUESTS_CA_BUNDLE: root },
      // What it asks a model on its own account would count as an answer below.
      ...{ ENABLE_TITLE_GENERATION: 'false', ENABLE_TAGS_GENERATION: 'false', ENABLE_FOLLOW_UP_GENERATION: 'false' },
    },
  })

describe.skipIf(why !== undefined).each(triedVersions)(
  `the network of the seed, with $title${why ? ` (skipped: ${why})` : ''}`,
  ({ program }) => {
    let net: SeedNetwork
    let webui: Serving
    let browser: Browser
    let page: Page

    beforeAll(async () => {
      net = await startSeedNetwork(await program())
      await eventually('one gateway has the address', () => net.holder() !== undefined)
      webui = await pageOn(net)
      browser = await startBrowser('', {
        place: { within: net.ground.within('home'), folder: net.ground.folder },
        args: [`--ignore-certificate-errors-spki-list=${Object.values(net.certificates).map(spkiOf).join()}`],
      })
      page = await (await browser.newContext({ viewport: { width: 1200, height: 850 } })).newPage()
    })
    afterAll(async () => {
      await browser?.close()
      await webui?.stop()
      net?.close()
    })

    const shot = async (title: string) => {
      if (shots) await page.screenshot({ path: join(shots, `seed-${title}.png`) })
    }
    const curl = (more: string, key?: string): string =>
      `curl -sS -m 20 --cacert ${net.root} ${key ? `-H 'authorization: Bearer ${key}'` : ''} ${more}`
    /** A line that has a model answer, and prints the headers, too. */
    const asks = (name: string, prompt: string): string =>
      curl(
        `-i https://${name}.${domain}:11434/api/generate -d '${JSON.stringify({ model, prompt, stream: false })}'`,
        net.keys.ann,
      )
    const served = (text: string): string | undefined => /^x-served-by: (\S+)/m.exec(text)?.[1]
    const answer = (text: string): string | undefined => /"response":"([^"]*)"/.exec(text)?.[1]
    const status = (where: Network, line: string): string =>
      net.in(where, `${line} -o /dev/null -w '%{http_code}' 2> /dev/null`).trim()
    /** How fast engines say their words from now on (ms from one to the next). */
    const pace = (tokenDelayMs: number) => {
      for (const node of nodes) net.faults(node, { tokenDelayMs })
    }
    const other = (side: Side): Side => (side === 'a' ? 'b' : 'a')
    /** How many answers of a model a gateway has passed on to Open WebUI. */
    const chats = (side: Side): number =>
      net[side]
        .log()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { who: string; method: string; status: number })
        .filter(({ who, method, status }) => who === 'open-webui' && method === 'POST' && status === 200).length

    test.each(networks)('a node is asked from %s by its own name, with one key and one answer', (where) => {
      for (const node of nodes) {
        const text = net.in(where, asks(`${node}-api`, 'Hello?'))
        expect([served(text), answer(text)]).toEqual([node, `Hello! This is ${model}. Your message had 1 word.`])
      }
      expect(status(where, curl(`https://hal9000-api.${domain}:11434/v1/models`, net.keys.ann))).toBe('403')
      expect(status(where, curl(`${chat}/health`))).toBe('200')
      expect(status(where, curl(`${twin}/health`))).toBe('200')
    })

    test('one name is answered by whichever node has room', () => {
      pace(500)
      const all = ['One', 'Two', 'Three', 'Four'].map((prompt) => `(${asks('ai', prompt)}) & `).join('')
      const text = net.in('internet', `${all} wait`)
      pace(0)
      expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code)).toEqual(['200', '200', '200', '200'])
      expect(new Set([...text.matchAll(/^x-served-by: (\S+)/gm)].map(([, node]) => node))).toEqual(new Set(nodes))
    })

    test('whoever asks from outside is known by their own address', async () => {
      const side = net.holder() ?? 'a'
      await eventually('the log has them', () =>
        [at.home, at.other, at.internet].every((address) => net[side].log().includes(`"address":"${address}"`)),
      )
    })

    test('nothing but the two ports of the pair’s address takes a connection, whatever routes a stranger makes', () => {
      const { ground } = net
      const ports = [...new Set(machines.flatMap((where) => portsOf(ground, where)))]
      expect(ports).toEqual(expect.arrayContaining([pagePort, gatewayPort, 11438]))
      const everybody = machines.flatMap((where) => [at[where], tailnet[where]])
      const border = [at.borderInside, at.borderOutside]
      for (const where of machines) ground.set('home', 'route', 'add', tailnet[where], 'via', at[where])
      ground.set('internet', 'route', 'add', '10.50.0.0/24', 'via', at.borderOutside)
      ground.set('internet', 'route', 'add', '100.64.0.0/24', 'via', at.borderOutside)
      const open = (addresses: string[]) => addresses.flatMap((one) => [`${one}:${gatewayPort}`, `${one}:12000`])
      for (const where of networks)
        expect([where, reached(ground, where, [at.vip, ...border, ...everybody], ports).toSorted()]).toEqual([
          where,
          open(where === 'internet' ? border : [at.vip, ...border]).toSorted(),
        ])
      // Whose business it is gets there, so that silence means something above.
      const theirs = reached(ground, 'a', [at.hal9000, at.brainiac, at.b], ports)
      expect(theirs.toSorted()).toEqual([
        ...[`${at.hal9000}:${gatewayPort}`, `${at.hal9000}:${pagePort}`, `${at.brainiac}:${gatewayPort}`],
        `${at.b}:11438`,
      ])
    })

    test('those two ports tell a stranger nothing', () => {
      for (const path of ['/', '/healthz', '/metrics', '/connect', '/api/tags', '/api/ps', '/v1/models', '/stats']) {
        const text = net.in('internet', curl(`-i https://ai.${domain}:11434${path}`))
        expect([path, /^HTTP\/1.1 (\d+)/.exec(text)?.[1]]).toEqual([path, path.startsWith('/api/') ? '403' : '401'])
        expect(text).not.toMatch(/qwen3|hal9000|brainiac|10\.50/)
      }
      expect(net.in('internet', curl(`http://ai.${domain}:11434/healthz`))).toMatch(/Empty reply/)
      // A name leads to what it stands for, and to nothing else on that machine.
      for (const foreign of [`chat.${domain}:11434`, `brainiac-api.${domain}:12000`, `ai.${domain}:12000`])
        expect([foreign, status('internet', curl(`https://${foreign}/health`))]).toEqual([foreign, '421'])
      expect(status('internet', curl(`${chat}/api/models`))).toBe('401')
    })

    /** What is to be read on the page behind a question; a long chat shows its end only. */
    const answerTo = async (question: string, where = page) =>
      (await where.locator('body').innerText()).split(question).at(-1) ?? ''
    const reads = (question: string, words: string, where = page) =>
      eventually(`“${words}” is read`, async () => (await answerTo(question, where)).includes(words), 60_000)

    test('a person signs in at the pair’s address, and reads an answer word by word', async () => {
      await signIn(page, chat, admin)
      await shot('1-chat')
      pace(400)
      const words = ['Hello!', 'This', 'is', `${model}.`, 'Your', 'message', 'had']
      const seen = wordsSeen(page, words)
      await say(page, 'Say something, please.')
      await reads('Say something, please.', 'Your message had 3 words.')
      await shot('2-answer')
      expect(seen.end().filter((count) => count > 0 && count < words.length).length).toBeGreaterThan(2)
      await eventually('the gateway wrote it down', () => chats(net.holder() ?? 'a') > 0)
    })

    test('the same page opens under the name of its node, too', async () => {
      pace(50)
      const second = await (await browser.newContext()).newPage()
      await signIn(second, twin, admin)
      await say(second, 'And here?')
      await reads('And here?', 'Your message had 2 words.', second)
      await second.context().close()
    })

    /** Ends a gateway in the midst of the answer to a question; after a reload of the page the chat goes on at the other one. */
    async function survives(ends: (side: Side) => void, question: string, further: string): Promise<void> {
      const side = net.holder() ?? 'a'
      const next = other(side)
      const before = chats(next)
      pace(1000)
      await say(page, question)
      await reads(question, 'Hello!')
      ends(side)
      await eventually('the other one has the address', () => net.holder() === next && !net[side].holds())
      pace(50)
      await page.reload()
      await page.locator('#chat-input').waitFor({ timeout: 60_000 })
      // Whether what came of the answer is kept is for the page to say.
      await page.getByText(question).last().waitFor({ timeout: 60_000 })
      expect(await answerTo(question)).not.toContain('Your message had')
      await say(page, further)
      await reads(further, `Your message had ${further.split(' ').length} words.`)
      await shot(`at-${next}`)
      await eventually('the other one wrote it down', () => chats(next) > before)
      for (const where of networks) {
        const text = net.in(where, asks('hal9000-api', 'Hello?'))
        expect([where, /^x-gateway: (\S+)/m.exec(text)?.[1], served(text)]).toEqual([where, next, 'hal9000'])
      }
    }

    test('the gateway that has the address is killed in the midst of an answer, and the chat goes on after a reload', async () => {
      await survives((side) => net[side].kill(), 'And what else?', 'Please do go on.')
    })

    test('back, it takes nothing; and when all of the other one dies the chat goes on with it', async () => {
      const side = net.holder() ?? 'a'
      await net[other(side)].startHaproxy()
      expect(net.holder()).toBe(side)
      const dies = (one: Side) => {
        net[one].keepalived?.kill('SIGKILL')
        net[one].kill()
      }
      await survives(dies, 'Is there more?', 'Then please do go on.')
    })
  },
)
