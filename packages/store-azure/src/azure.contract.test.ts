import { storeContract } from '@salvor/testkit/contracts/store'
import { startAzurite, type RealAzurite } from '@salvor/testkit/real/azurite'
import { afterAll, beforeAll } from 'vitest'
import { adapter } from './index.ts'

let azurite: RealAzurite
beforeAll(async () => {
  azurite = await startAzurite()
})
afterAll(() => azurite?.stop())

storeContract('azure (Azurite)', async () => {
  const container = await azurite.createContainer()
  const config = { container, connection_string: azurite.connection_string, prefix: 'prod/eu' }
  return {
    store: adapter.open('azure', config),
    second: adapter.open('azure', config),
    corrupt: (key) => flipByte(container, `prod/eu/${key}`),
    [Symbol.asyncDispose]: async () => void (await azurite.client().deleteContainer(container)),
  }
})

/** Other bytes with the same size and metadata, as a bad disk would leave them. */
async function flipByte(container: string, name: string): Promise<void> {
  const blob = azurite.client().getContainerClient(container).getBlockBlobClient(name)
  const { metadata = {} } = await blob.getProperties()
  const bytes = await blob.downloadToBuffer()
  bytes[0]! ^= 1
  await blob.upload(bytes, bytes.length, { metadata })
}
