import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout, node } from '../box/paths.ts'
import { eventually } from './await.ts'
import { at, cannot, installed, quickBox, run, titled } from './witness.ts'

/** Sends refusals from inside the box, `at` once, each on a connection of its own; prints how many got 403. */
const storm = `
  const [host, port, count, most] = process.argv.slice(1)
  const http = require('http')
  let [next, refused] = [0, 0]
  const one = () => new Promise((resolve) => {
    const request = http.request({ host, port, method: 'POST', path: '/api/pull/' + next++, agent: false }, (answer) => {
      if (answer.statusCode === 403) refused += 1
      answer.resume().on('end', resolve)
    })
    request.on('error', resolve).end()
  })
  const worker = async () => { while (next < count) await one() }
  Promise.all(Array.from({ length: most }, worker)).then(() => console.log(refused))
`

describe.skipIf(cannot)(titled('a burst of refusals'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [tiny-loop]\nlog: errors\n', 0o600)
    await installed(box)
  })
  afterAll(() => box?.close())

  it('stands in the log line by line: every line is JSON, and none is lost or cut', async () => {
    const [count, most] = [5000, 50]
    const argv = [node, '-e', storm, box.address, `${box.port}`, `${count}`, `${most}`]
    const { stdout } = await box.run(argv, { on: 'laptop', cwd: checkout })
    expect(Number(stdout)).toBe(count)
    const lines = () => box.read(at(box).access).trimEnd().split('\n')
    const ours = () => lines().filter((line) => line.includes('"path":"\\/api\\/pull\\/'))
    await eventually('HAProxy has written them', () => ours().length >= count)
    for (const line of lines()) expect(() => JSON.parse(line), line).not.toThrow()
    expect(new Set(ours().map((line) => /pull\\\/(\d+)/.exec(line)?.[1])).size).toBe(count)
    const refused = async () => {
      const { usage } = JSON.parse((await run(box, 'status.ts', '--report', '--json')).stdout) as {
        usage: { who: string; refused: number }[]
      }
      return usage.filter(({ who }) => who === '100.64.0.7').reduce((sum, row) => sum + row.refused, 0)
    }
    await eventually('the observer has counted them', async () => (await refused()) === count)
    expect((await run(box, 'status.ts')).stdout).toContain('✓ No line of the log was lost')
  })
})
