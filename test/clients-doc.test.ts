import { expect, it } from 'vitest'
import { clientsDoc } from '../lib/clients/doc.ts'

it('docs/clients.md says what the records say (npm run clients:doc writes it)', async () => {
  await expect(clientsDoc()).toMatchFileSnapshot('../docs/clients.md')
})
