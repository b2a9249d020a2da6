import { bitOf, record } from '../../people/records.ts'
import { adminRows } from '../../site/endpoints.ts'
import type { Gateway, Policy } from '../policy.ts'

const row = `manage|manage|${bitOf('manage')}`

/** Changing the models, for a key made with --admin; to everybody else these rows stay what they are: refused. */
export function manage({ settings }: Gateway): Policy {
  if (settings.access === 'tailnet') return { name: 'manage', lines: {} }
  const rows = adminRows().filter(({ path }) => !path.includes('{'))
  return {
    name: 'manage',
    lines: {
      classify: [
        `http-request set-var(txn.admin) ${record.groups},and(${bitOf('manage')}) if { var(txn.who) -m found }`,
        'acl admin var(txn.admin) -m int gt 0',
        'http-request set-var(txn.row) var(txn.mp),map_str({{files}}/manage.map) if admin',
        `http-request set-var(txn.row) str(${row}) if admin { method HEAD POST } { path -m reg ^/api/blobs/sha256:[0-9a-f]{64}$ }`,
        'http-request set-var(txn.group) var(txn.row),field(1,|) if admin',
        'http-request set-var(txn.backend) var(txn.row),field(2,|) if admin',
      ],
      rewrite: ['use_backend manage if { var(txn.backend) -m str manage }'],
    },
    // A download tells of itself, but a model that is made may be silent for hours. Without a log as the other backends: "Server … is DOWN" is no JSON.
    sections: [
      `backend manage\n    no log\n    timeout server 6h\n    server engine 127.0.0.1:${settings.engine.port} track inference/engine`,
    ],
    files: { 'manage.map': rows.map(({ method, path }) => `${method}:${path} ${row}\n`).join('') },
  }
}
