import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import type { Deps } from '@salvor/shared/ports/service'
import { sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog'
import { sampleBackup, sampleCopy } from '@salvor/testkit/contracts/catalog-samples'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { checkStores } from './handlers/check-stores.ts'
import { LEFT_FOR_MS, removeLeftovers } from './leftovers.ts'

const OLD = 'clinic/backup_full_20251127_203930'
const YOUNG = 'clinic/backup_full_20251129_203930'
const never = new AbortController().signal
const BYTES = Buffer.from('bytes of an artifact')
const HOLDER = { service: 'backup-worker', host: 'here', boot_id: 'boot', pid: 1, start_time: '1' }

/** A catalog that knows the source clinic, and a store in which everything of the 29th is young. */
async function place(options: ConstructorParameters<typeof MemoryStore>[0] = {}) {
  const data_dir = mkdtempSync(join(tmpdir(), 'salvor-leftovers-'))
  const catalog = await openCatalog({ url: null, data_dir, ids: testIds(), holderAlive: sampleHolderAlive })
  await catalog.transaction({ service: 'cli' }, async (tx) => {
    await tx.registerSource({ name: 'clinic', engine: 'sqlite', pool: null, config_hash: 'h' })
  })
  const ageMs = (of: string) => (of.includes('20251129') ? 1000 : LEFT_FOR_MS + 1)
  const store = new MemoryStore({ name: 'local', partBytes: 4, ageMs, ...options })
  const lines: string[] = []
  const say = (_facts: object, message: string) => void lines.push(message)
  const deps = {
    catalog,
    settings: () => ({ sources: new Map(), stores: new Map([['local', {}]]) }),
    store: () => store,
    keyring: { configured: false },
    log: { info: say, warn: say },
  } as unknown as Deps
  return {
    catalog,
    store,
    deps,
    lines,
    async [Symbol.asyncDispose]() {
      await catalog.close()
      rmSync(data_dir, { recursive: true })
    },
  }
}

async function beginUpload(store: MemoryStore, key: string): Promise<void> {
  const writer = await store.create(key, {}, never)
  await writer.write(BYTES)
  await writer.abort({ keepParts: true })
}

async function uploads(store: MemoryStore): Promise<(string | null)[]> {
  const keys = []
  for await (const { key } of store.unfinished(never)) keys.push(key)
  return keys
}

test('objects of an attempt that wrote no manifest go when all are old; whole backups and foreign objects stay', async () => {
  await using here = await place()
  const { store, deps } = here
  const kept = [
    `${YOUNG}.db.zst`,
    'clinic/backup_full_20251101_000000.db.zst',
    'clinic/backup_full_20251101_000000.manifest.json',
    'clinic/wal/1/000000010000000000000001.zst',
    'clinic/notes.txt',
    'manifest.json',
    'other/backup_full_20251127_203930.db.zst',
  ]
  for (const key of [...kept, `${OLD}.db.zst`, `${OLD}.index.zst`]) store.plant(key, BYTES)
  expect(await removeLeftovers(deps, store, never)).toEqual({ uploads: 0, objects: 2, bytes: 2 * BYTES.length })
  expect(store.keys()).toEqual(kept.toSorted())
})

test('nothing is touched while a run writes into the folder of the source, and goes when it has ended', async () => {
  await using here = await place()
  const { catalog, store, deps } = here
  store.plant(`${OLD}.db.zst`, BYTES)
  await beginUpload(store, `${OLD}.tar.zst`)
  const { id } = await catalog.transaction({ service: 'cli' }, (tx) =>
    tx.enqueue({ job: 'replicate-copy', source: 'clinic', params: { backup_id: 'b' } }),
  )
  await catalog.claimRun(id, HOLDER, 60_000)
  expect(await removeLeftovers(deps, store, never)).toEqual({ uploads: 0, objects: 0, bytes: 0 })
  await catalog.transaction({ service: 'cli' }, (tx) => tx.endRun(id, 1, { kind: 'succeeded' }))
  expect(await removeLeftovers(deps, store, never)).toEqual({ uploads: 1, objects: 1, bytes: BYTES.length })
  expect([store.keys(), await uploads(store)]).toEqual([[], []])
})

test('a copy that is still to be made keeps its upload and what arrived of it', async () => {
  await using here = await place()
  const { catalog, store, deps } = here
  const backup = sampleBackup({ filename: `${OLD.slice('clinic/'.length)}.db.zst` })
  await catalog.transaction({ service: 'cli' }, async (tx) => {
    await tx.recordBackup(backup)
    await tx.recordCopy(sampleCopy(backup, { state: 'pending', stored_at: null }))
  })
  store.plant(`${OLD}.index.zst`, BYTES)
  await beginUpload(store, `${OLD}.db.zst`)
  await beginUpload(store, 'other/backup_full_20251127_203930.db.zst')
  expect(await removeLeftovers(deps, store, never)).toEqual({ uploads: 0, objects: 0, bytes: 0 })
  expect(await uploads(store)).toHaveLength(2)
})

test('a manifest that appears between the look and the removal saves its objects', async () => {
  const seen: { late?: () => void } = {}
  await using here = await place({ before: (operation) => void (operation === 'age' && seen.late?.()) })
  const { store, deps } = here
  store.plant(`${OLD}.db.zst`, BYTES)
  seen.late = () => store.plant(`${OLD}.manifest.json`, BYTES)
  expect(await removeLeftovers(deps, store, never)).toEqual({ uploads: 0, objects: 0, bytes: 0 })
  expect(store.keys()).toEqual([`${OLD}.db.zst`, `${OLD}.manifest.json`])
})

test('a store that refuses to delete is named in the log once, and the job goes on', async () => {
  await using here = await place()
  const { store, deps, lines } = here
  store.plant(`${OLD}.db.zst`, BYTES)
  store.lock(`${OLD}.db.zst`, '2100-01-01T00:00:00.000000Z')
  const run = {} as Parameters<typeof checkStores.handle>[0]
  for (let n = 0; n < 2; n += 1) {
    const { again } = await checkStores.handle(run, deps, never, () => {})
    expect(again! > (await here.catalog.now())).toBe(true)
  }
  expect(lines).toEqual(['leftovers of broken attempts stay: this identity may not remove them'])
  expect(store.keys()).toEqual([`${OLD}.db.zst`])
})
