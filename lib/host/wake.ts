import dgram from 'node:dgram'

/** Six times FF, then sixteen times the address, to everybody on the network; port 9 takes what is meant for nobody. */
export function wake(mac: string): Promise<void> {
  const address = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const packet = Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => address)])
  const socket = dgram.createSocket('udp4')
  const sent = new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(() => {
      socket.setBroadcast(true)
      socket.send(packet, 9, '255.255.255.255', (error) => (error ? reject(error) : resolve()))
    })
  })
  return sent.finally(() => socket.close())
}
