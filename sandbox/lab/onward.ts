import { once } from 'node:events'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'

/** Gives each connection to another place, which need not be there yet when its server begins. */
export const onTo = (place: () => { address: string; port: number } | undefined) => (socket: Socket) => {
  const { address, port } = place() ?? { address: '127.0.0.1', port: 1 }
  const far = connect(port, address)
  socket.on('error', () => far.destroy()).on('close', () => far.destroy())
  far.on('error', () => socket.destroy()).on('close', () => socket.destroy())
  socket.pipe(far).pipe(socket)
}

/** Has a server listen on 127.0.0.1; gives its port. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
