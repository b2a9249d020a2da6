import { gatewaysOf, type Node, throughName } from '../../../site/nodes.ts'
import { refuse } from '../../refusal.ts'

/** Which gateways a request has come through, by their marks: ours tell it each other, engines are not told. */
const header = 'x-gateways'
/** So many in all. */
const most = 3

const mark = (nodes: Node[], place: number): string =>
  `%[var(txn.gateways),field(${place},/),map_str({{keys}}/${throughName(nodes)})]`

/** A request that came through a gateway. */
export const cameThrough = '{ var(txn.gateways) -m len gt 0 }'

/** Gateways that have each other as nodes: what came from one is not given back to it. */
export const circle = {
  /** A client that writes this itself keeps its own request from nodes, and that is all. */
  refused: (nodes: Node[]): string[] =>
    gatewaysOf(nodes).length === 0
      ? []
      : [
          `http-request set-var(txn.gateways) req.fhdr(${header}) if { req.fhdr(${header}) -m found }`,
          refuse({
            status: 508,
            message: `this came through ${most} gateways already; the owner looks whether they have each other as nodes.`,
            when: [
              `{ req.fhdr(${header}) -m found } !{ req.fhdr(${header}) -m reg ^(/[0-9a-f]{12}){1,${most - 1}}$ }`,
              `{ req.fhdr_cnt(${header}) gt 1 }`,
            ],
          }),
          `http-request set-var-fmt(txn.tried) "${mark(nodes, 2)}${mark(nodes, 3)}" if ${cameThrough}`,
        ],
  shown: (nodes: Node[]): string[] =>
    gatewaysOf(nodes).length === 0
      ? []
      : [
          `http-request set-header ${header} "%[var(txn.gateways)]/%[str(own),map_str({{keys}}/${throughName(nodes)})]" if { var(txn.node) -m str ${gatewaysOf(
            nodes,
          )
            .map(({ name }) => name)
            .join(' ')} }`,
        ],
}
