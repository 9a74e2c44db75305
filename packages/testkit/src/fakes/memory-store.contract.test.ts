import { storeContract } from '../contracts/store.ts'
import { MemoryStore } from './memory-store.ts'

storeContract('memory', async () => {
  const store = new MemoryStore()
  const corrupt = async (key: string) => store.flip(key, 0)
  return { store, corrupt, inMemory: true, keepsUploads: true, [Symbol.asyncDispose]: async () => store.close() }
})
