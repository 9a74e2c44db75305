import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { describe, expect, test } from 'vitest'
import { bytes, giving, GOLDEN, ID, never, request, RING, TIME } from './backup.fixture.ts'
import { parseClaim, serializeClaim } from './claim.ts'
import { indexLines } from './index-file.ts'
import { inspectCopy } from './inspect-copy.ts'
import { artifactName, backupKeys, claimKey, STORE_INDEX_KEY, stemOf } from './layout.ts'
import { parseManifest, serializeManifest } from './manifest.ts'
import { openDataKey, readArtifactIndex } from './open-backup.ts'
import { openArtifact } from './read-artifact.ts'
import { storeIndexBytes } from './store-index.ts'
import { parseWrappedKeys, serializeWrappedKeys } from './wrapped-keys.ts'
import { writeBackup } from './write-backup.ts'

/**
 * golden/v1 was written once by the writer of format version 1 and is never written again: these tests are what keeps old backups
 * readable. A new format version gets a folder of its own beside it.
 */
const ROOT = fileURLToPath(new URL('store', GOLDEN))

if (!existsSync(ROOT)) {
  await writeGolden()
  throw new Error(`${ROOT} was written now: look at it, then commit it`)
}

const store = new MemoryStore()
for (const path of globSync('**', { cwd: ROOT, withFileTypes: true }).filter((entry) => entry.isFile())) {
  const file = join(path.parentPath, path.name)
  store.plant(file.slice(ROOT.length + 1), readFileSync(file))
}
const expected = JSON.parse(readFileSync(new URL('content.json', GOLDEN), 'utf8')) as Record<string, string>
const address = (manifest_key: string) => ({ store, manifest_key, manifest_sha256: null, keyring: RING, threads: 1 })

describe.each(Object.entries(expected))('the frozen backup %s', (manifestKey, contentSha256) => {
  const { manifest } = parseManifest(store.bytes(manifestKey), manifestKey, RING)

  test("is opened by today's reader", async () => {
    await using opened = await openArtifact(address(manifestKey), never)
    const content = createHash('sha256')
    for await (const chunk of opened.content.chunks(never)) content.update(chunk)
    expect(content.digest('hex')).toBe(contentSha256)
  })

  test("passes today's inspection", async () => {
    const quiet = { monotonicMs: () => 0, onProgress: () => {} }
    const checks = await inspectCopy({ ...address(manifestKey), ...quiet, level: 'decode' }, never)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  })

  test("has the bytes and names that today's serialisers make", async () => {
    expect(serializeManifest(manifest, RING).equals(store.bytes(manifestKey))).toBe(true)
    const stem = stemOf(manifest.type, manifest.timestamp)
    const keys = backupKeys(manifest.source, stem)
    expect(keys.manifest).toBe(manifestKey)
    const kind = manifest.filename.includes('.tar.') ? 'tar' : 'db'
    const encrypted = manifest.encryption !== null
    expect(artifactName(stem, kind, manifest.compression.algorithm, encrypted)).toBe(manifest.filename)
    const index = await readArtifactIndex(manifest, store, never)
    const lines = [...indexLines({ ...manifest, encrypted }, index)].map((line) => `${line}\n`).join('')
    expect(zstdDecompressSync(store.bytes(keys.index)).toString()).toBe(lines)
    if (!encrypted) return
    const key = `${keys.keysPrefix}1.json`
    const wrapped = parseWrappedKeys(store.bytes(key), key, manifest, RING).body
    expect(serializeWrappedKeys(wrapped, RING).equals(store.bytes(key))).toBe(true)
    expect(await openDataKey(manifest, { store, keyring: RING }, never)).toHaveLength(32)
  })
})

test('the frozen claim is read, and written again as it was', () => {
  const key = claimKey('clinic', 1)
  const { body } = parseClaim(store.bytes(key), key, RING)
  expect(serializeClaim(body, RING).equals(store.bytes(key))).toBe(true)
})

test('the frozen repository is small, and nothing in it is unknown to this test', () => {
  expect(Object.keys(expected)).toHaveLength(3)
  expect(store.keys()).toHaveLength(5 + 4 + 4 + 2)
  expect(store.keys().reduce((sum, key) => sum + store.bytes(key).length, 0)).toBeLessThan(400_000)
})

async function writeGolden(): Promise<void> {
  const store = new MemoryStore()
  const content: Record<string, string> = {}
  const cases = [
    { data: bytes(150_001) },
    {
      data: bytes(70_000, 2),
      source: 'tenants/a%20b.db',
      encrypt: false,
      artifact: 'tar' as const,
      engine: 'postgres',
      compression: { algorithm: 'gzip' as const, level: 6 },
      retention_class: 'monthly' as const,
    },
    { data: Buffer.alloc(0), encrypt: false, type: 'pre_restore' as const, retention_class: 'pre_restore' as const },
  ]
  const backups = []
  for (const [n, { data, ...overrides }] of cases.entries()) {
    const id = `${ID.slice(0, -1)}${n}`
    const timestamp = TIME.replace('30.', `3${n}.`)
    const { backup } = await writeBackup(request(store, { id, timestamp, ...overrides }), giving(data), never)
    const key = backupKeys(backup.source, stemOf(backup.type, timestamp)).manifest
    content[key] = createHash('sha256').update(data).digest('hex')
    backups.push({ ...backup, copies: [] })
  }
  const claim = { format_version: 1 as const, catalog_id: ID, epoch: 1, source: 'clinic', since: TIME }
  store.plant(claimKey('clinic', 1), serializeClaim(claim, RING))
  store.plant(STORE_INDEX_KEY, storeIndexBytes(backups))
  for (const key of store.keys()) {
    mkdirSync(dirname(join(ROOT, key)), { recursive: true })
    writeFileSync(join(ROOT, key), store.bytes(key))
  }
  writeFileSync(new URL('content.json', GOLDEN), `${JSON.stringify(content, null, 2)}\n`)
}
