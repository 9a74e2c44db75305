import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { type MemoryOperation, MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { bytes, codeOf, FACTS, giving, ID, KEYS, never, request, RING } from './backup.fixture.ts'
import { backupObjects } from './backup-objects.ts'
import { fetchStoredDigests } from './digests-file.ts'
import { inspectCopy } from './inspect-copy.ts'
import { openKeyring } from './keyring.ts'
import { readManifest } from './open-backup.ts'
import { type BackupRequest, writeBackup } from './write-backup.ts'

vi.setConfig({ testTimeout: 120_000 })

const folder = mkdtempSync(join(tmpdir(), 'salvor-incremental-'))
afterAll(() => rmSync(folder, { recursive: true }))
const AT = 'clinic/backup_incremental_20251127_203930'
const MANIFEST = `${AT}.manifest.json`
const DIGESTS = bytes(300_000, 7)
const digests = join(folder, 'digests')
writeFileSync(digests, DIGESTS)
const fetched = join(folder, 'fetched')
beforeEach(() => rmSync(fetched, { force: true }))

const incremental = (store: MemoryStore, overrides: Partial<BackupRequest> = {}): BackupRequest =>
  request(store, {
    type: 'incremental',
    retention_class: 'incremental',
    artifact: 'pages',
    parent: ID.replace('9ab', '9aa'),
    chain: [{ id: ID.replace('9ab', '9aa'), filename: 'backup_full_20251126_203930.db.zst.enc' }],
    ...overrides,
  })

function withDigests(data: Uint8Array) {
  const give = giving(data)
  return async (...given: Parameters<typeof give>): Promise<SnapshotFacts> => ({ ...(await give(...given)), digests })
}
const address = (store: MemoryStore, keyring = RING) => ({
  store,
  manifest_key: MANIFEST,
  manifest_sha256: null,
  keyring,
})

test('the objects of an incremental: digests and script before RECOVERY.md, the manifest last, and all of them copied', async () => {
  const order: string[] = []
  const before = (operation: MemoryOperation, key: string) => void (operation === 'finish' && order.push(key))
  const store = new MemoryStore({ before })
  await writeBackup(incremental(store), withDigests(bytes(50_000)), never)
  const expected = ['pages.zst.enc', 'index.zst', 'keys.1.json', 'digests.zst.enc', 'recover.py', 'RECOVERY.md']
  expect(order).toEqual([...expected.map((ending) => `${AT}.${ending}`), MANIFEST])
  const { manifest } = await readManifest(address(store), never)
  expect(await backupObjects(manifest, MANIFEST, store, never)).toEqual(order)
})

test.each([true, false])(
  'digests come back as they were given (encrypted: %s), and are readable only so',
  async (encrypt) => {
    const store = new MemoryStore()
    await writeBackup(incremental(store, { encrypt }), withDigests(bytes(50_000)), never)
    await fetchStoredDigests(address(store), fetched, never)
    expect(readFileSync(fetched).equals(DIGESTS)).toBe(true)
    const stored = store.bytes(`${AT}.digests.zst${encrypt ? '.enc' : ''}`)
    expect(stored.includes(DIGESTS.subarray(200_000, 200_032))).toBe(!encrypt)
  },
)

test('without the private half of the key that signed, sealed digests stay closed', async () => {
  const store = new MemoryStore()
  await writeBackup(incremental(store), withDigests(bytes(50_000)), never)
  const signing = KEYS.keyring.signing.map((entry) => ({ ...entry, private_key: null }))
  const reader = openKeyring({ ...KEYS.keyring, signing }, 'salvor-keys.json', true)
  expect(await codeOf(fetchStoredDigests(address(store, reader), fetched, never))).toBe('KEY_MISSING')
})

test('digests with a flipped bit are not used', async () => {
  const store = new MemoryStore()
  await writeBackup(incremental(store), withDigests(bytes(20_000)), never)
  const spoiled = Buffer.from(store.bytes(`${AT}.digests.zst.enc`))
  spoiled[spoiled.length >> 1]! ^= 1
  store.plant(`${AT}.digests.zst.enc`, spoiled)
  expect(await codeOf(fetchStoredDigests(address(store), fetched, never))).toBe('ARTIFACT_CORRUPT')
})

test('a flipped bit in digests or script is found by an inspection', async () => {
  for (const ending of ['digests.zst.enc', 'recover.py']) {
    const store = new MemoryStore()
    await writeBackup(incremental(store), withDigests(bytes(20_000)), never)
    const spoiled = Buffer.from(store.bytes(`${AT}.${ending}`))
    spoiled[spoiled.length >> 1]! ^= 1
    store.plant(`${AT}.${ending}`, spoiled)
    const quiet = { threads: 1, monotonicMs: () => 0, onProgress: () => {} }
    const checks = await inspectCopy({ ...address(store), ...quiet, level: 'checksum' }, never)
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual([
      ending === 'recover.py' ? 'recover-script' : 'digests',
    ])
  }
})

test('when there is nothing to store, nothing is', async () => {
  const store = new MemoryStore()
  expect(await writeBackup(incremental(store), async () => null, never)).toBeNull()
  expect(store.keys()).toEqual([])
})

test('an incremental without a parent, or a full with one, is not believed', async () => {
  for (const overrides of [{ parent: null }, { type: 'full', artifact: 'db' }] as Partial<BackupRequest>[]) {
    const store = new MemoryStore()
    const { backup } = await writeBackup(incremental(store, overrides), async () => FACTS, never)
    const manifest_key = `clinic/${backup.filename.split('.')[0]}.manifest.json`
    const read = readManifest({ ...address(store), manifest_key }, never)
    expect(await codeOf(read)).toBe('MANIFEST_INVALID')
  }
})
