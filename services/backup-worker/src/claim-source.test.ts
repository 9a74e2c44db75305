import { createSigningKey } from '@salvor/repository/create-keys'
import { openKeyring } from '@salvor/repository/keyring'
import type { Deps } from '@salvor/shared/ports/service'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { claimSource } from './claim-source.ts'

const never = new AbortController().signal
const NOW = '2025-11-27T20:39:30.294774Z'
const keyring = openKeyring(createSigningKey(NOW), 'keys', false)
const ids = { a: '019ac6f5-77f6-7c31-8000-00000000000a', b: '019ac6f5-77f6-7c31-8000-00000000000b' }

function worker(store: MemoryStore, name: keyof typeof ids, epoch = 1): Deps {
  const tx = { recordClaim: () => Promise.resolve() }
  const transaction = (_cause: unknown, work: (given: typeof tx) => Promise<void>) => work(tx)
  const clock = { now: () => NOW }
  return { catalog: { id: ids[name], epoch, transaction }, store: () => store, keyring, clock } as unknown as Deps
}

test('a backup and a stream of one catalog that begin at the same moment both hold the source', async () => {
  const store = new MemoryStore({ name: 'local' })
  const ours = worker(store, 'a')
  const ended = await Promise.allSettled([1, 2, 3].map(() => claimSource(ours, 'clinic', 'local', never)))
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
})

test('of two catalogs that begin at the same moment one is stopped, and a later life of one takes over', async () => {
  const store = new MemoryStore({ name: 'local' })
  const both = [worker(store, 'a'), worker(store, 'b')]
  const ended = await Promise.allSettled(both.map((deps) => claimSource(deps, 'clinic', 'local', never)))
  expect(ended.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  await claimSource(worker(store, 'b', 2), 'clinic', 'local', never)
  await expect(claimSource(both[0]!, 'clinic', 'local', never)).rejects.toMatchObject({ code: 'SOURCE_CLAIMED' })
})
