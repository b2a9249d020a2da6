import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate made by openssl, with its key; both in PEM form. */
export interface Made {
  certificate: string
  key: string
}

export interface Wish {
  names: string[]
  /** days until it ends, from now on; 90 unless told */
  days?: number
  /** ms from now until it is valid; none unless told */
  begins?: number
  by?: Made
  ca?: boolean
  /** an RSA key of so many bits in place of P-256 */
  bits?: number
  use?: string
}

const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')

/** Makes one; signed by itself unless somebody issues it. */
export function certificate(wish: Wish): Made {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  const at = (name: string) => join(folder, name)
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' })
  try {
    const algorithm = wish.bits ? ['RSA', `rsa_keygen_bits:${wish.bits}`] : ['EC', 'ec_paramgen_curve:P-256']
    openssl('genpkey', '-algorithm', algorithm[0] ?? '', '-pkeyopt', algorithm[1] ?? '', '-out', at('key'))
    const names = wish.names.map((name) => `DNS:${name}`).join(',')
    const extensions = wish.ca
      ? ['basicConstraints=critical,CA:true']
      : [
          'basicConstraints=CA:false',
          `extendedKeyUsage=${wish.use ?? 'serverAuth'}`,
          ...(names ? [`subjectAltName=${names}`] : []),
        ]
    writeFileSync(
      at('extensions'),
      `[ca]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\nx509_extensions=own\ncopy_extensions=none\nunique_subject=no\nrand_serial=yes\n[any]\ncommonName=optional\n[own]\n${extensions.join('\n')}\n[req]\ndistinguished_name=dn\n[dn]\n`,
    )
    writeFileSync(at('index'), '')
    openssl(
      'req',
      '-new',
      '-key',
      at('key'),
      '-subj',
      `/CN=${wish.ca ? 'Lab CA ' : ''}${wish.names[0] ?? 'nobody'}`,
      '-config',
      at('extensions'),
      '-out',
      at('request'),
    )
    if (wish.by) {
      writeFileSync(at('by'), wish.by.certificate)
      writeFileSync(at('by.key'), wish.by.key)
    }
    const signer = wish.by ? ['-cert', at('by'), '-keyfile', at('by.key')] : ['-selfsign', '-keyfile', at('key')]
    const from = Date.now() + (wish.begins ?? -60_000)
    const until = Date.now() + (wish.days ?? 90) * 86_400_000
    openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      at('extensions'),
      '-name',
      'ca',
      ...signer,
      '-in',
      at('request'),
      '-out',
      at('made'),
      '-startdate',
      stamp(from),
      '-enddate',
      stamp(until),
    )
    return { certificate: readFileSync(at('made'), 'utf8'), key: readFileSync(at('key'), 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A root, one below it, and a certificate from that one for these names: its PEM as it is to be given. */
export function issued(names: string[], wish: Partial<Wish> = {}) {
  const root = certificate({ names: ['root'], ca: true, days: 900 })
  const middle = certificate({ names: ['middle'], ca: true, by: root, days: 900 })
  const leaf = certificate({ names, by: middle, ...wish })
  return {
    root,
    middle,
    leaf,
    chain: `${leaf.certificate}${middle.certificate}`,
    pem: `${leaf.certificate}${middle.certificate}${leaf.key}`,
  }
}
