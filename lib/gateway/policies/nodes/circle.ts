import type { Node } from '../../../site/nodes.ts'
import { refuse } from '../../refusal.ts'

/** Through how many gateways a request has come: ours count it for each other, engines are not told. */
const header = 'x-gateway-hops'
const most = 3

const gateways = (nodes: Node[]): string[] => nodes.flatMap(({ name, engine }) => (engine === 'gateway' ? [name] : []))

/** Gateways that have each other as nodes: what goes round ends after a few of them. */
export const circle = {
  /** Nothing but our own count is taken, so that nobody can make it begin below zero. */
  refused: (nodes: Node[]): string[] =>
    gateways(nodes).length === 0
      ? []
      : [
          'http-request set-var(txn.gateways) int(1)',
          `http-request set-var(txn.gateways) req.fhdr(${header}),add(1) if { req.fhdr(${header}) -m found }`,
          refuse({
            status: 508,
            message: `this came through ${most} gateways already; the owner looks whether two of them have each other as nodes.`,
            when: [
              `{ req.fhdr(${header}) -m found } !{ req.fhdr(${header}) -m reg ^[0-${most - 1}]$ }`,
              `{ req.fhdr_cnt(${header}) gt 1 }`,
            ],
          }),
        ],
  shown: (nodes: Node[]): string[] =>
    gateways(nodes).length === 0
      ? []
      : [
          `http-request set-header ${header} %[var(txn.gateways)] if { var(txn.node) -m str ${gateways(nodes).join(' ')} }`,
        ],
}
