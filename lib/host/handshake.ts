import tls from 'node:tls'

/** A TLS handshake that is to tell what is served, and nothing more is sent. */
export interface Greeting {
  address: string
  port: number
  /** the name that is asked for (SNI) */
  name: string
  /** ms; 5,000 when absent */
  timeoutMs?: number
}

/** What came of it: the certificate that was shown (PEM), or why there was none. */
export interface Greeted {
  certificate?: string
  /** such as TLSv1.3 */
  protocol?: string
  error?: string
}

/** Asks whom a listener shows for a name. What it shows is looked at, never trusted: whoever asks judges it. */
export function greet({ address, port, name, timeoutMs = 5000 }: Greeting): Promise<Greeted> {
  return new Promise((resolve) => {
    const finish = (greeted: Greeted) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(greeted)
    }
    const socket = tls.connect({
      ...{ host: address, port, servername: name, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] },
      minVersion: 'TLSv1.2',
    })
    const timer = setTimeout(() => finish({ error: 'no answer' }), timeoutMs)
    socket.on('error', (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }))
    socket.on('secureConnect', () =>
      finish({
        certificate: socket.getPeerX509Certificate()?.toString(),
        protocol: socket.getProtocol() ?? undefined,
      }),
    )
  })
}
