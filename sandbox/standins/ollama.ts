import { homedir } from 'node:os'
import { cli } from './ollama/cli.ts'
import { serve } from './ollama/serve.ts'

/** The stand-in `ollama`: `serve` runs the server, every other verb is a client of one. Gives the exit code. */
export const main = async (argv: string[], box: { dir: string }): Promise<number> => {
  const home = process.env.HOME ?? homedir()
  if (argv[0] === 'serve' || argv[0] === 'start') return serve(box.dir, home)
  return cli(argv, box.dir)
}
