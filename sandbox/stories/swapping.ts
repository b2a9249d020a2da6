import { existsSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { judge } from '../../lib/certificates/judge.ts'
import { factsIn, sameSerial } from '../../lib/certificates/pair.ts'
import { pemFile, shownFor } from '../../lib/certificates/served.ts'
import { swap } from '../../lib/certificates/swap.ts'
import { reload } from '../../lib/haproxy/reload.ts'
import { oldWorkers, readEach } from '../../lib/haproxy/workers.ts'
import { issued } from '../../test/certificates.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { names } from '../lab/gateway.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { running, type Secured, secured } from '../lab/secured.ts'

const [name = ''] = names
const wildcard = name.replace(/^[^.]+/, '*')
const fresh = (more: object = {}) => judge(issued([name], more).pem, { name, source: 'a test' })
const below = judge(issued([wildcard]).pem, { name: wildcard, source: 'a test' })

/** What must hold of a certificate that is swapped, in the HAProxy of this suite of Debian; undefined is this machine's. */
export const swapping = (suite?: string) =>
  describe(`a certificate is swapped in HAProxy${suite ? ` of Debian’s ${suite}` : ''}`, () => {
    let engine: Recorder
    let at: Secured
    let why: string | undefined
    const unhad = ({ message }: Error) => {
      why = message
      return undefined
    }

    beforeAll(async () => {
      engine = await startRecorder()
      const haproxy = suite && (await haproxyOf(suite).catch(unhad))
      if (why === undefined)
        at = await secured(
          { enginePort: engine.port, ...(haproxy && { haproxy }) },
          { [name]: fresh().text, [wildcard]: below.text },
        )
    })
    beforeEach(({ skip }) => skip(why !== undefined, why))
    afterAll(async () => {
      await at?.gateway.stop()
      await engine?.stop()
    })

    const shown = async () => (await shownFor(at.gateway.machine, name)).map(({ facts, why }) => facts?.serial ?? why)
    const onDisk = () => readFileSync(pemFile(at.gateway.machine, name), 'utf8')

    test('in every worker, without a reload, and a running stream goes on to its end', async () => {
      const before = await running(at, engine, name)
      await reload(at.gateway.machine, async () => (await oldWorkers(at.gateway.machine)) === 1)
      const after = await running(at, engine, name)
      const pair = fresh()
      await swap(at.gateway.machine, name, pair)
      expect(await shown()).toEqual([pair.serial])
      expect(await oldWorkers(at.gateway.machine)).toBe(1)
      const said = await readEach(at.gateway.machine, ({ ask }) =>
        ask(`show ssl cert ${pemFile(at.gateway.machine, name).replaceAll(' ', '\\ ')}`),
      )
      expect(said.map((text) => sameSerial(/^Serial: (\S+)/m.exec(text)?.[1] ?? ''))).toEqual([
        pair.serial,
        pair.serial,
      ])
      expect(onDisk()).toBe(pair.text)
      expect(statSync(pemFile(at.gateway.machine, name)).mode & 0o777).toBe(0o600)
      for (const one of [before, after]) expect(await one.whole()).toBe(true)
    })

    test('to one that ends sooner, too, and again to the same without a word', async () => {
      const pair = fresh({ days: 1 })
      await swap(at.gateway.machine, name, pair)
      await swap(at.gateway.machine, name, pair)
      expect(await shown()).toEqual([pair.serial])
    })

    test('which HAProxy refuses, and nothing is changed', async () => {
      const [served, file] = [await shown(), onDisk()]
      const pair = fresh()
      const text = pair.text.replace(
        /-----BEGIN PRIVATE KEY[\s\S]*/,
        fresh().text.replace(/^[\s\S]*(?=-----BEGIN PRIVATE KEY)/, ''),
      )
      await expect(swap(at.gateway.machine, name, { ...pair, text })).rejects.toThrow(
        /was not taken: HAProxy says ".+"; the one before stays/,
      )
      expect([await shown(), onDisk()]).toEqual([served, file])
      const next = fresh()
      await swap(at.gateway.machine, name, next)
      expect(await shown()).toEqual([next.serial])
    })

    test.each([
      ['ENOSPC', /could not be written \(the disk is full\), so the one before stays; make room/],
      ['EROFS', /could not be written \(its disk can only be read\), so the one before stays/],
      ['EACCES', /could not be written \(this user may not write there\), so the one before stays/],
    ])('and nothing is changed when the file cannot be written: %s', async (code, words) => {
      const [served, file] = [await shown(), onDisk()]
      const full = async () => {
        throw Object.assign(new Error(code), { code })
      }
      await expect(swap({ ...at.gateway.machine, write: full }, name, fresh())).rejects.toThrow(words)
      expect([await shown(), onDisk()]).toEqual([served, file])
      expect(existsSync(`${pemFile(at.gateway.machine, name)}.writing`)).toBe(false)
    })

    test('beside a wildcard, which serves the other names and stays as it is', async () => {
      const pair = fresh()
      await swap(at.gateway.machine, name, pair)
      expect(await shown()).toEqual([pair.serial])
      expect((await shownFor(at.gateway.machine, wildcard))[0]?.facts?.serial).toBe(below.serial)
      expect((await shownFor(at.gateway.machine, 'other.example'))[0]?.why).toMatch(/\S/)
    })

    test('and one that is on disk but not served is seen, and served the next time', async () => {
      const pair = fresh()
      await at.gateway.machine.write(pemFile(at.gateway.machine, name), pair.text)
      expect(await shown()).not.toEqual([pair.serial])
      expect(factsIn(onDisk())?.serial).toBe(pair.serial)
      await swap(at.gateway.machine, name, pair)
      expect(await shown()).toEqual([pair.serial])
    })
  })
