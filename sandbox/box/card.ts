import type { Box } from './box.ts'
import { node } from './paths.ts'
import type { Running } from './running.ts'

const program = `const card = require('dgram').createSocket('udp4')
card.on('message', (packet) => console.log('called: ' + packet.subarray(6, 12).toString('hex').match(/../g).join(':')))
card.bind(9, () => console.log('listens'))`

/** The network card of a sleeping machine on a box's LAN: it writes `called: ADDRESS` for each magic packet that comes. */
export async function sleepingCard(box: Box): Promise<Running> {
  const card = box.start([node, '-e', program], { on: 'neighbour' })
  await card.expect('listens')
  return card
}
