import { type Haproxy, haproxyAt, haproxy as usual } from '../../box/tools.ts'
import { haproxyOf, suites } from '../versions/debian.ts'
import type { Ground } from './ground.ts'
import { live, type Verdict } from './life.ts'
import { installedMac } from './mac.ts'
import type { Combination } from './refusals.ts'

/** Each HAProxy that can be had here, by its major and minor version. */
export async function programs(say: (text: string) => void): Promise<Map<string, Haproxy>> {
  const found = [await usual()]
  for (const suite of suites)
    await haproxyOf(suite).then(
      (file) => found.push(haproxyAt(file)),
      (error: Error) => say(`${suite} is skipped: ${error.message}`),
    )
  return new Map(found.map((one) => [one.version.split('.').slice(0, 2).join('.'), one]))
}

/** Lives of combinations one after the other, on one Mac for each HAProxy; after a red one on a new Mac. */
export class Macs {
  #programs: Map<string, Haproxy>
  #mac: Ground | undefined
  #version: unknown
  constructor(programs: Map<string, Haproxy>) {
    this.#programs = programs
  }

  async live(combination: Combination, only?: string): Promise<Verdict> {
    const mac = await this.#macFor(combination.haproxy)
    const verdict = await live(mac, combination, only).catch(
      (error: Error): Verdict => ({ is: 'red', step: 'the run itself', saw: error.message }),
    )
    if (verdict.is === 'red') await this.close()
    return verdict
  }

  async #macFor(version: unknown): Promise<Ground> {
    if (this.#mac && this.#version === version) return this.#mac
    await this.close()
    const program = this.#programs.get(`${version}`)
    if (!program) throw new Error(`there is no HAProxy ${version} here`)
    this.#mac = await installedMac(program)
    this.#version = version
    return this.#mac
  }

  async close(): Promise<void> {
    await this.#mac?.close()
    this.#mac = undefined
  }
}
