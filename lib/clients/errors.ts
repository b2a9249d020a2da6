import { clientErrors } from './errors/clients.ts'
import { engineErrors } from './errors/engine.ts'
import type { Explanation } from './errors/explanation.ts'
import { gatewayErrors } from './errors/gateway.ts'

/** All that are known, what is said most exactly first. */
export const explanations: Explanation[] = [...gatewayErrors, ...engineErrors, ...clientErrors]

/** What is behind a client's error, by its words or else by its status; undefined where nobody knows it yet. */
export function explained(text: string): Explanation | undefined {
  const status = Number(/(?<![\d.:])[45]\d\d(?![\d.])/.exec(text)?.[0])
  return explanations.find(({ says }) => says.test(text)) ?? explanations.find((one) => one.status?.includes(status))
}
