import type { Gateway, Policy } from '../policy.ts'
import { sign } from '../refusal.ts'
import { admin } from './admin.ts'
import { asked } from './asked.ts'
import { bandwidth } from './bandwidth.ts'
import { bodies } from './bodies.ts'
import { challenge } from './challenge.ts'
import { connect } from './connect.ts'
import { connections } from './connections.ts'
import { errors } from './errors.ts'
import { health } from './health.ts'
import { keys } from './keys.ts'
import { limits } from './limits.ts'
import { listeners } from './listeners.ts'
import { lists } from './lists.ts'
import { loading } from './loading.ts'
import { log } from './log.ts'
import { manage } from './manage.ts'
import { metrics } from './metrics.ts'
import { models } from './models.ts'
import { names } from './names.ts'
import { nodes } from './nodes/index.ts'
import { peers } from './peers.ts'
import { queue } from './queue.ts'
import { revoked } from './revoked.ts'
import { rewrite } from './rewrite.ts'
import { rows } from './rows.ts'
import { running } from './running.ts'
import { services } from './services/index.ts'
import { shape } from './shape.ts'
import { streams } from './streams.ts'
import { timeouts } from './timeouts.ts'
import { tls } from './tls.ts'

/** Refusals tell their policy's name; the log reads it and takes it off. */
const signed = ({ name, lines, ...rest }: Policy): Policy => ({
  name,
  lines: Object.fromEntries(
    Object.entries(lines).map(([slot, rules]) => [slot, rules.map((rule) => sign(rule, name))]),
  ),
  ...rest,
})

/** All policies; the order of lines within a slot is the order of this list. */
export const policies = (gateway: Gateway): Policy[] => policiesOf(gateway).map(signed)

const policiesOf = (gateway: Gateway): Policy[] => [
  streams(),
  admin(gateway),
  log(gateway),
  connections(gateway),
  peers(gateway),
  errors(gateway),
  services(gateway),
  shape(),
  names(gateway),
  tls(gateway),
  rows(gateway),
  listeners(gateway),
  keys(gateway),
  timeouts(gateway),
  limits(gateway),
  bandwidth(gateway),
  bodies(gateway),
  models(gateway),
  asked(),
  revoked(gateway),
  loading(gateway),
  queue(gateway),
  nodes(gateway),
  running(gateway),
  rewrite(gateway),
  lists(gateway),
  manage(gateway),
  metrics(gateway),
  connect(gateway),
  challenge(gateway),
  health(gateway),
]
