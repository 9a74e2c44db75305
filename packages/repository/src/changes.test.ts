import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangePiece, ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { bytes, codeOf, ID, KEYS, never, RING, TIME } from './backup.fixture.ts'
import { copyChanges } from './copy-changes.ts'
import { findStored } from './find-stored.ts'
import type { FoundFile } from './look-at-document.ts'
import { publicOnly } from './key-file.ts'
import { openKeyring } from './keyring.ts'
import { readChanges } from './read-changes.ts'
import { writeChanges, type ChangesRequest } from './write-changes.ts'

const WORKER = openKeyring(publicOnly(KEYS.keyring), 'salvor-keys.json', true)
const PIECE: ChangePiece = {
  base: ID,
  method: 'log',
  stands_on: 'previous',
  previous: 'ab'.repeat(32),
  lost: null,
  from_at: '2025-11-27T20:39:30.294774Z',
  to_at: '2025-11-27T20:39:31.294774Z',
  page_size: 4096,
  page_count: 400,
  pages: 3,
  state_sha256: null,
  position: 'wal 1:2 3',
}
const NAME = '20251127T203930294774Z-20251127T203931294774Z'
const FOLDER = `clinic/changes/${ID}/`
const DATA = bytes(3 * 4096)

function request(store: MemoryStore, more: Partial<ChangesRequest> = {}): ChangesRequest {
  const common = { keyring: WORKER, encrypt: true, allowPlain: false, level: 1, source: 'clinic', id: ID }
  return { store, ...common, timestamp: TIME, tool_version: '0.1.0', piece: PIECE, content: () => [DATA], ...more }
}

async function all(store: MemoryStore): Promise<FoundFile<ChangeSetFile>[]> {
  const found: FoundFile<ChangeSetFile>[] = []
  for await (const one of findStored(store, RING, never)) if (one.kind === 'changes') found.push(one.found)
  return found
}

async function contentOf(store: MemoryStore, document_sha256: string, keyring = RING): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const address = { store, keyring, source: 'clinic', base: ID, name: NAME, document_sha256 }
  for await (const chunk of readChanges(address, never)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('a change set comes back as it was, from a copy too, is found by its document, and the worker that stored it cannot open it', async () => {
  const [store, other] = [new MemoryStore(), new MemoryStore()]
  const file = await writeChanges(request(store), never)
  expect(file).toMatchObject({ ...PIECE, source: 'clinic', name: NAME, source_bytes: DATA.length })
  expect(store.keys()).toEqual([`${FOLDER}${NAME}.json`, `${FOLDER}${NAME}.zst.enc`])
  const place = { source: 'clinic', base: ID, name: NAME, document_sha256: file.document_sha256 }
  expect(await copyChanges({ from: store, to: other, keyring: RING, ...place }, never)).toEqual(file)
  for (const one of [store, other]) expect((await contentOf(one, file.document_sha256)).equals(DATA)).toBe(true)
  expect(await codeOf(contentOf(store, file.document_sha256, WORKER))).toBe('KEY_MISSING')
  const found = await all(other)
  expect(found).toEqual([{ key: `${FOLDER}${NAME}.json`, file, error: null }])
})

test('a compacted set has a name of its own and says whose state it brings; it is copied and found like any other', async () => {
  const [store, other] = [new MemoryStore(), new MemoryStore()]
  const fine = await writeChanges(request(store), never)
  expect([fine.brings_state_of, store.bytes(`${FOLDER}${NAME}.json`).includes('brings_state_of')]).toEqual([
    null,
    false,
  ])
  const brings_state_of = 'ef'.repeat(32)
  const file = await writeChanges(request(store, { piece: { ...PIECE, brings_state_of } }), never)
  expect(file).toMatchObject({ name: `${NAME}-compacted`, brings_state_of })
  const place = { source: 'clinic', base: ID, name: file.name, document_sha256: file.document_sha256 }
  expect(await copyChanges({ from: store, to: other, keyring: RING, ...place }, never)).toEqual(file)
  expect((await all(store)).map((found) => found.file)).toEqual([file, fine])
  expect(await writeChanges(request(store, { piece: { ...PIECE, brings_state_of } }), never)).toEqual(file)
  // The one is not taken for the other.
  store.plant(`${FOLDER}${NAME}.json`, store.bytes(`${FOLDER}${NAME}-compacted.json`))
  expect((await all(store)).map(({ error }) => error?.code ?? null)).toEqual([null, 'ARTIFACT_CORRUPT'])
})

test('the same set again writes nothing, other bytes of its name are refused, and what broke off is not in the way', async () => {
  const store = new MemoryStore()
  store.plant(`${FOLDER}${NAME}.zst.enc`, Buffer.from('half of something'))
  const first = await writeChanges(request(store), never)
  expect(store.keys()).toContain(`${FOLDER}${NAME}.2.zst.enc`)
  expect(await writeChanges(request(store, { timestamp: '2025-11-27T21:00:00.000000Z' }), never)).toEqual(first)
  expect(await codeOf(writeChanges(request(store, { content: () => [bytes(3 * 4096, 2)] }), never))).toBe(
    'STORE_CONFLICT',
  )
})

test('a byte that flips, in content or document, and a document that was put elsewhere, are found', async () => {
  const store = new MemoryStore()
  const { document_sha256 } = await writeChanges(request(store, { encrypt: false }), never)
  for (const key of store.keys()) {
    const good = store.bytes(key)
    for (const at of [0, good.length >> 1, good.length - 2]) {
      const bad = Buffer.from(good)
      bad[at]! ^= 0x20
      store.plant(key, bad)
      expect(await codeOf(contentOf(store, document_sha256))).toBe('ARTIFACT_CORRUPT')
    }
    store.plant(key, good)
  }
  const elsewhere = '20251127T203930294774Z-20251127T203932294774Z'
  store.plant(`${FOLDER}${elsewhere}.json`, store.bytes(`${FOLDER}${NAME}.json`))
  const errors = (await all(store)).map(({ error }) => error?.code ?? null)
  expect(errors).toEqual([null, 'ARTIFACT_CORRUPT'])
})

test('a store that takes content and refuses documents for a while is not filled with orphans, and the set gets there', async () => {
  let refused = 12
  const store = new MemoryStore({
    before(operation, key) {
      if (operation === 'finish' && key.endsWith('.json') && refused-- > 0)
        throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
    },
  })
  const tries = async (more: Partial<ChangesRequest>): Promise<number> => {
    for (let n = 1; ; n++) if ((await codeOf(writeChanges(request(store, more), never))) === 'resolved') return n
  }
  expect(await tries({ unfinished: new Map() })).toBe(13)
  expect(store.keys()).toEqual([`${FOLDER}${NAME}.json`, `${FOLDER}${NAME}.zst.enc`])
  const [found] = await all(store)
  expect(found?.error).toBeNull()
  // Workers that are killed again and again remember nothing: each leaves its content, and the next finds a name.
  refused = 12
  expect(await tries({ piece: { ...PIECE, to_at: '2025-11-27T20:39:32.294774Z' } })).toBe(13)
  expect((await all(store)).map(({ error }) => error)).toEqual([null, null])
})

test('a damaged document is told with the source that it belongs to, by which another copy is found', async () => {
  const store = new MemoryStore()
  const source = 'tenants/a.db'
  await writeChanges(request(store, { source }), never)
  store.flip(`${source}/changes/${ID}/${NAME}.json`, 40)
  const [found] = await all(store)
  expect(found?.error?.code).toBe('ARTIFACT_CORRUPT')
  expect(found?.error?.hint).toBe(`another copy may be good: salvor list ${source}; then salvor backup ${source}`)
})
