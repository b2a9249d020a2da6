import { checkout, ending, run } from './mac.ts'
import { step } from './step.ts'

const bin = (name: string, ...args: string[]): string[] => [`${checkout}/node_modules/.bin/${name}`, ...args]

/** Step 2: types, lint, and the unit tests of lib/; the box and its stand-ins are for Linux. */
await step('check', async ({ holds }) => {
  const commands: [string, string[]][] = [
    ['the types are right', bin('tsc', '-p', '.')],
    ['the linter has nothing to say', bin('biome', 'check', '.')],
    ['the unit tests pass', bin('vitest', 'run', '--project', 'unit', 'lib/', 'test/')],
  ]
  for (const [what, argv] of commands) {
    const said = await run(argv)
    process.stdout.write(said.stdout)
    holds(what, said.code === 0, ending(said))
  }
})
