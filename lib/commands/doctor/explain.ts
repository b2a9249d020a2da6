import { explained } from '../../clients/errors.ts'
import { exitCodes, Stop } from '../../host/command.ts'
import { typed } from '../../host/typed.ts'
import type { Ui } from '../cli.ts'
import { beside } from '../screens/misses.ts'

/** Words that let somebody in here or elsewhere. */
const key = /\b(rop|sk|tskey|ghp|hf)[-_][A-Za-z0-9_-]{8,}/

/** rop doctor --error: what is behind a client's words. The text may hold a key, so it is printed and written down nowhere. */
export async function explain(ui: Ui, given: string): Promise<number> {
  const text = given === '-' ? await pasted(ui) : given
  if (text.trim() === '')
    throw new Stop(exitCodes.usage, `There is no text; put what the client printed behind --error, in quotes.`)
  const found = explained(text)
  if (ui.json) {
    const { id, cause, next } = found ?? { id: undefined, cause: undefined, next: undefined }
    process.stdout.write(`${JSON.stringify({ known: found !== undefined, id, cause, next }, null, 2)}\n`)
  } else if (found) ui.say([`[${found.id}]`, beside('means', found.cause), beside('do', found.next)].join('\n'))
  else ui.say(unknown())
  if (key.test(text)) ui.say('The text holds an API key: take it out before you send the text to anybody.')
  return found ? exitCodes.done : exitCodes.failed
}

const unknown = (): string =>
  [
    'This text is not known here yet.',
    beside(
      'do',
      `On the server: ${typed('doctor')}. When nothing is wrong there, report the text, the client with its version, and what ${typed('doctor')} --bundle writes.`,
    ),
  ].join('\n')

/** What comes on stdin, to its end; a person is told how to end it. */
async function pasted(ui: Ui): Promise<string> {
  if (ui.attended) ui.say('Paste what the client printed, then press Return and Ctrl-D.')
  let text = ''
  for await (const piece of process.stdin) text += piece
  return text
}
