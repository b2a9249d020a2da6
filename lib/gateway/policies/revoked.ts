import { asksCertificates, asksKeys } from '../../site/settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { refuse } from '../refusal.ts'
import { challenge } from './keys.ts'

const certificate = [
  'http-request set-var(txn.uncertified) bool(true) if known inference { var(txn.certified) -m found } !{ var(txn.certificate),map_str({{keys}}/certificates.map) -m found }',
  refuse({
    status: 401,
    message: 'this client certificate was revoked while the request was being sent.',
    when: ['{ var(txn.uncertified) -m found }'],
    headers: challenge,
  }),
]

/** A key may be revoked while its request still sends the body; until its first 64 KB are here (asked.ts) it is no running answer, so it is judged once more then. What is further on is in the table of streams, and ends by `--cut`. */
export const revoked = ({ settings }: Gateway): Policy => ({
  name: 'revoked',
  lines: !asksKeys(settings)
    ? {}
    : {
        inspect: [
          ...(asksCertificates(settings) ? certificate : []),
          'http-request set-var(txn.still) var(txn.hash),map_str({{keys}}/keys.map) if known inference { var(txn.hash) -m found }',
          refuse({
            status: 401,
            message: 'this API key was revoked while the request was being sent.',
            when: ['known inference { var(txn.hash) -m found } !{ var(txn.still) -m found }'],
            headers: challenge,
          }),
        ],
      },
})
