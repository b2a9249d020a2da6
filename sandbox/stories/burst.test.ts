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

  /** Lines that HAProxy counts as dropped: its threads do not wait for each other's write (its fd_write_frag_line). */
  const dropped = async () => {
    const ask = `const c = require('net').connect(process.argv[1]); c.end('show info\\n'); c.pipe(process.stdout)`
    const { stdout } = await box.run([node, '-e', ask, at(box).adminSocket], { cwd: checkout })
    return Number(/^DroppedLogs: (\d+)$/m.exec(stdout)?.[1])
  }
  const refused = async () => {
    const { stdout } = await run(box, 'status.ts', '--report', '--json')
    const { usage } = JSON.parse(stdout) as { usage: { who: string; refused: number }[] }
    return usage.filter(({ who }) => who === '100.64.0.7').reduce((sum, row) => sum + row.refused, 0)
  }

  it('stands in the log line by line: every line is JSON, none is cut, and what is lost is counted', async () => {
    const [count, most] = [5000, 50]
    const before = [await refused(), await dropped()] as const
    const argv = [node, '-e', storm, box.address, `${box.port}`, `${count}`, `${most}`]
    const { stdout } = await box.run(argv, { on: 'laptop', cwd: checkout })
    expect(Number(stdout)).toBe(count)
    const lines = () => box.read(at(box).access).trimEnd().split('\n')
    const ours = () => lines().filter((line) => line.includes('"path":"\\/api\\/pull\\/'))
    const lost = (await dropped()) - before[1]
    await eventually('each is written or counted as lost', () => ours().length + lost === count)
    expect(lost).toBeLessThan(count / 10)
    for (const line of lines()) expect(() => JSON.parse(line), line).not.toThrow()
    await eventually('the observer has counted them', async () => (await refused()) === before[0] + count - lost)
    const said = (await run(box, 'status.ts', '--verbose')).stdout
    expect(said).toContain(lost === 0 ? '✓ No line of the log was lost' : `${lost} lines could not be written`)
  })
})
