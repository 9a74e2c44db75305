import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeContract } from '@salvor/testkit/contracts/store'
import { adapter } from './index.ts'

storeContract('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'salvor-store-'))
  const path = join(folder, 'not', 'yet')
  return {
    store: adapter.open('local', { path }),
    second: adapter.open('local', { path }),
    corrupt: async (key) => {
      await using handle = await open(join(path, key), 'r+')
      const byte = Buffer.alloc(1)
      await handle.read(byte, 0, 1, 7)
      byte.writeUInt8(byte.readUInt8() ^ 4)
      await handle.write(byte, 0, 1, 7)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
})
