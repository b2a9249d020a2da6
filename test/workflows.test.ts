import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

interface Step {
  name?: string
  uses?: string
  run?: string
  if?: string
}

interface Job {
  'runs-on': string
  'timeout-minutes'?: number
  strategy?: { matrix: { os?: string[]; include?: Record<string, string>[] } }
  steps: Step[]
}

interface Workflow {
  on: Record<string, unknown>
  permissions: unknown
  jobs: Record<string, Job>
}

const folder = '.github/workflows'
const names = readdirSync(folder)
const text = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')
const workflow = (name: string): Workflow => parse(text(name)) as Workflow
const steps = (name: string): Step[] => Object.values(workflow(name).jobs).flatMap((job) => job.steps)
const scripts = Object.keys((JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts)

/** Everything that a workflow runs, also what stands in its matrix. */
function commands(name: string): string[] {
  const own = steps(name).flatMap(({ run }) => (run === undefined ? [] : [run]))
  const given = Object.values(workflow(name).jobs).flatMap(({ strategy }) => strategy?.matrix.include ?? [])
  return [...own, ...given.flatMap(({ run }) => (run === undefined ? [] : [run]))]
}

describe.each(names)('the workflow %s', (name) => {
  it('may read this repository, and no more, and knows no secret', () => {
    expect(workflow(name).permissions).toEqual({ contents: 'read' })
    expect(text(name)).not.toMatch(/secrets\.|github\.token|GITHUB_TOKEN|pull_request_target|permissions: write/)
    expect(text(name).match(/^\s*permissions:/gm)).toHaveLength(1)
  })

  it('pins every action by its whole commit, with the version beside it, and leaves no token in the checkout', () => {
    const uses = text(name).match(/uses: .*/g) ?? []
    expect(uses.length).toBeGreaterThan(0)
    for (const line of uses) expect(line).toMatch(/^uses: actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
    const checkouts = text(name).split('uses: actions/checkout@').slice(1)
    for (const after of checkouts) expect(after.slice(0, 120)).toContain('persist-credentials: false')
  })

  it('bounds every job in time', () => {
    for (const job of Object.values(workflow(name).jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0)
  })

  it('runs only what is here', () => {
    const all = commands(name).join('\n')
    const files = [...all.matchAll(/(?<=^|[\s"])((?:sandbox|\.ci)\/[\w./-]+)/gm)].map(([, file = '']) => file)
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !existsSync(file))).toEqual([])
    const called = [...all.matchAll(/npm run ([\w:-]+)/g)].map(([, script = '']) => script)
    expect(called.filter((script) => !scripts.includes(script))).toEqual([])
  })
})

describe('the proof on a real Mac', () => {
  const mac = workflow('real-mac.yml')
  const run = commands('real-mac.yml').join('\n')

  it('runs by one click and every week, on the three systems that GitHub has', () => {
    expect(Object.keys(mac.on)).toEqual(['workflow_dispatch', 'schedule'])
    expect(mac.jobs.mac?.strategy?.matrix.os).toEqual(['macos-14', 'macos-15', 'macos-26'])
  })

  it('runs every step that there is, in an order in which each finds what it rests on', () => {
    const own = readdirSync('sandbox/real-mac')
      .filter((name) => name.endsWith('.ts'))
      .filter((name) => /^await step\(/m.test(readFileSync(`sandbox/real-mac/${name}`, 'utf8')))
    const order = [...run.matchAll(/sandbox\/real-mac\/(\w+)\.ts/g)].map(([, step = '']) => step)
    expect([...order].sort()).toEqual([...own.map((name) => name.replace('.ts', '')), 'summary'].sort())
    expect(order).toEqual(
      'facts check tailnet launchd install again proof laptop master keys reloads log life others uninstall summary'.split(
        ' ',
      ),
    )
  })

  it('keeps what it saw, and removes what it made, also after a miss', () => {
    const last = steps('real-mac.yml').slice(-4)
    for (const step of last) expect(step.if).toContain('always()')
    expect(last.at(-1)?.uses).toContain('upload-artifact')
  })
})

describe('the tests', () => {
  it('are the README’s own commands, as a plain user and as root, on Ubuntu and on Debian', () => {
    expect(readFileSync('.ci/run', 'utf8')).toMatch(/npm ci\nnpm test\n$/)
    expect(readFileSync('README.md', 'utf8')).toContain('npm ci && npm test ')
    expect(commands('ci.yml').filter((command) => command.includes('.ci/run'))).toHaveLength(4)
    expect(text('ci.yml')).toMatch(/sudo env .* \.ci\/run/)
    expect(text('ci.yml')).toMatch(/image: node:20-bookworm[\s\S]*image: debian:13/)
  })
})
