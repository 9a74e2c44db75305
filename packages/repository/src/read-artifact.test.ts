import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { afterAll, expect, test, vi } from 'vitest'
import {
  AT,
  bytes,
  codeOf,
  frameThreads,
  giving,
  KEYS,
  MANIFEST,
  never,
  request,
  RING,
  STEM,
} from './backup.fixture.ts'
import { backupObjects } from './backup-objects.ts'
import { createSigningKey } from './create-keys.ts'
import { Decoders } from './decoders.ts'
import { publicOnly } from './key-file.ts'
import { openKeyring } from './keyring.ts'
import { sha256 } from './hash.ts'
import { inspectCopy } from './inspect-copy.ts'
import { parseManifest, serializeManifest } from './manifest.ts'
import { type OpenArtifactRequest, openArtifact } from './read-artifact.ts'
import { parseWrappedKeys, serializeWrappedKeys } from './wrapped-keys.ts'
import { writeBackup } from './write-backup.ts'

// Each round starts threads: a second or more on a busy machine.
const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
vi.setConfig({ testTimeout: FULL ? 7_200_000 : 120_000 })

const ARTIFACT = `${AT}.db.zst.enc`
const DATA = bytes(300_000)
const folder = mkdtempSync(join(tmpdir(), 'salvor-read-'))
afterAll(() => rmSync(folder, { recursive: true }))

const good = new MemoryStore()
const { backup } = await writeBackup(request(good), giving(DATA), never)

/** The same objects in a store of their own. */
function copy(): MemoryStore {
  const store = new MemoryStore({ chunkBytes: 5000 })
  for (const key of good.keys()) store.plant(key, good.bytes(key))
  return store
}
const address = (store: MemoryStore, overrides: Partial<OpenArtifactRequest> = {}): OpenArtifactRequest => {
  return {
    store,
    manifest_key: MANIFEST,
    manifest_sha256: backup.manifest_sha256,
    keyring: RING,
    threads: 1,
    ...overrides,
  }
}

/** What came out, and how it ended. */
async function read(store: MemoryStore, overrides: Partial<OpenArtifactRequest> = {}) {
  const chunks: Buffer[] = []
  const work = async () => {
    await using opened = await openArtifact(address(store, overrides), never)
    for await (const chunk of opened.content.chunks(never)) chunks.push(Buffer.from(chunk))
  }
  const code = await codeOf(work())
  return { code, data: Buffer.concat(chunks) }
}

test('content comes back in order, and to its places in a file, as often as it is asked for', async () => {
  const progress: number[] = []
  const onProgress = ({ done_bytes }: { done_bytes: number }) => void progress.push(done_bytes)
  await using opened = await openArtifact(address(good, { onProgress, threads: 3 }), never)
  expect(opened.content.size).toBe(300_000)
  expect(opened.signer).toBe('trusted')
  for (let round = 0; round < 2; round++) {
    const chunks: Buffer[] = []
    for await (const chunk of opened.content.chunks(never)) chunks.push(Buffer.from(chunk))
    expect(Buffer.concat(chunks).equals(DATA)).toBe(true)
  }
  const path = join(folder, 'out.db')
  const fd = openSync(path, 'w')
  await opened.content.writeTo(fd, never)
  closeSync(fd)
  expect(readFileSync(path).equals(DATA)).toBe(true)
  expect(progress).toEqual([300_000, 300_000, 300_000])
})

test('a pass may begin anywhere and leave out what nobody wants, and still refuses a flipped bit where it looks', async () => {
  await using opened = await openArtifact(address(good, { threads: 2 }), never)
  for (let round = 0; round < 6; round++) {
    let at = round * 40_001
    const bytes = opened.content.skim!(at, never)
    for await (const chunk of bytes) {
      expect(DATA.subarray(at, at + chunk.length).equals(chunk)).toBe(true)
      const skipped = [0, 5, 16_384, 90_000, 0, 20_000][(at + round) % 6]!
      bytes.skip(skipped)
      at += chunk.length + skipped
    }
    expect(at).toBeGreaterThanOrEqual(300_000)
  }
  const store = copy()
  store.flip(ARTIFACT, store.bytes(ARTIFACT).length - 1)
  await using broken = await openArtifact(address(store), never)
  const beginning = broken.content.skim!(0, never)[Symbol.asyncIterator]()
  expect((await beginning.next()).value).toHaveLength(16_384)
  await beginning.return!()
  await expect(broken.content.skim!(299_000, never)[Symbol.asyncIterator]().next()).rejects.toThrow(/does not match/)
})

test('a flipped bit anywhere in the artifact is refused, and only good bytes before it are handed out', async () => {
  const size = good.bytes(ARTIFACT).length
  const rounds = FULL ? 2000 : 30
  for (let n = 0; n < rounds; n++) {
    const store = copy()
    store.flip(ARTIFACT, Math.floor((n * (size - 1)) / (rounds - 1)), n % 8)
    const { code, data } = await read(store)
    expect(code).toBe('ARTIFACT_CORRUPT')
    expect(data.equals(DATA.subarray(0, data.length)) && data.length % 16_384 === 0).toBe(true)
  }
})

test('a damaged artifact is named by frame and offset', async () => {
  const store = copy()
  store.flip(ARTIFACT, 0)
  await using opened = await openArtifact(address(store), never)
  const fd = openSync(join(folder, 'bad.db'), 'w')
  await expect(opened.content.writeTo(fd, never)).rejects.toThrow('frame 0 at offset 0 does not match the index')
  closeSync(fd)
})

test('an artifact that is cut, grown, missing, or has frames exchanged is refused', async () => {
  const stored = good.bytes(ARTIFACT)
  const { index } = { index: parseManifest(good.bytes(MANIFEST), MANIFEST, RING).manifest }
  expect(index.frames).toBe(19)
  const swapped = Buffer.concat([stored.subarray(1000, 2000), stored.subarray(0, 1000), stored.subarray(2000)])
  for (const bytes of [stored.subarray(0, -1), Buffer.concat([stored, Buffer.alloc(1)]), Buffer.alloc(0), swapped]) {
    const store = copy()
    store.plant(ARTIFACT, bytes)
    expect((await read(store)).code).toBe('ARTIFACT_CORRUPT')
  }
  const store = copy()
  store.plant(ARTIFACT, null)
  expect((await read(store)).code).toBe('STORE_NOT_FOUND')
})

test('objects of two backups do not mix, and an old manifest does not come back', async () => {
  const other = new MemoryStore()
  await writeBackup(request(other, { id: '019ac6f5-77f6-7c31-8000-000000000002' }), giving(bytes(300_000, 9)), never)
  for (const key of good.keys().filter((key) => !key.endsWith('.md'))) {
    const store = copy()
    store.plant(key, other.bytes(key))
    const { code, data } = await read(store, { manifest_sha256: null })
    expect(['ARTIFACT_CORRUPT', 'MANIFEST_INVALID'], `with ${key} of the other`).toContain(code)
    expect(data).toHaveLength(0)
  }
  expect((await read(other)).code).toBe('MANIFEST_INVALID')
  expect((await read(other, { manifest_sha256: null })).code).toBe('resolved')
})

test('a tag that its own signer got wrong is found at the end of the pass; a checksum by verify, since every frame speaks for itself', async () => {
  const { manifest } = parseManifest(good.bytes(MANIFEST), MANIFEST, RING)
  const lines = zstdDecompressSync(good.bytes(`${AT}.index.zst`))
    .toString()
    .split('\n')
  const segment = JSON.parse(lines[2]!) as unknown[]
  const index = zstdCompressSync(lines.with(2, JSON.stringify(segment.with(3, '0'.repeat(32)))).join('\n'))
  const store = copy()
  store.plant(`${AT}.index.zst`, index)
  store.plant(MANIFEST, serializeManifest({ ...manifest, index_sha256: sha256(index) }, RING))
  await using opened = await openArtifact(address(store, { manifest_sha256: null }), never)
  const fd = openSync(join(folder, 'late.db'), 'w')
  await expect(opened.content.writeTo(fd, never)).rejects.toThrow('the tag of segment 1 does not fit')
  closeSync(fd)
  const other = copy()
  other.plant(MANIFEST, serializeManifest({ ...manifest, checksum_sha256: '0'.repeat(64) }, RING))
  expect(await read(other, { manifest_sha256: null })).toEqual({ code: 'resolved', data: DATA })
  const quiet = { monotonicMs: () => 0, onProgress: () => {} }
  const looked = { ...address(other, { manifest_sha256: null }), ...quiet, level: 'decode' as const }
  const checks = await inspectCopy(looked, never)
  expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['artifact-checksum'])
})

test('a key file with another data key is refused before anything is decrypted', async () => {
  const store = copy()
  const key = `${AT}.keys.1.json`
  const { manifest } = parseManifest(store.bytes(MANIFEST), MANIFEST, RING)
  const { body } = parseWrappedKeys(store.bytes(key), key, manifest, RING)
  const wrapped = RING.wrap(Buffer.alloc(32, 7), 'clinic', 'full').map((entry) => ({ ...entry }))
  store.plant(key, serializeWrappedKeys({ ...body, wrapped }, RING))
  await expect(openArtifact(address(store), never)).rejects.toThrow('its key is not that of the manifest')
})

test('the wrong keyring opens nothing and says which key it wants', async () => {
  const worker = openKeyring(publicOnly(KEYS.keyring), 'k.json', true)
  expect((await read(good, { keyring: worker })).code).toBe('KEY_MISSING')
  const stranger = createSigningKey(backup.timestamp)
  expect((await read(good, { keyring: openKeyring(stranger, 'k.json', true) })).code).toBe('SIGNER_UNKNOWN')
})

test('after a rotation the highest key file counts, a bad one does not take the backup away', async () => {
  const store = copy()
  const { manifest } = parseManifest(store.bytes(MANIFEST), MANIFEST, RING)
  const first = parseWrappedKeys(store.bytes(`${AT}.keys.1.json`), `${AT}.keys.1.json`, manifest, RING).body
  const useless = first.wrapped.map((key) => ({ ...key, key_id: '0123456789abcdef' }))
  store.plant(`${AT}.keys.1.json`, serializeWrappedKeys({ ...first, wrapped: useless }, RING))
  expect((await read(store)).code).toBe('KEY_MISSING')
  store.plant(`${AT}.keys.10.json`, serializeWrappedKeys({ ...first, number: 10 }, RING))
  store.plant(`${AT}.keys.9.json`, serializeWrappedKeys({ ...first, number: 8 }, RING))
  store.plant(`${AT}.keys.11.json`, Buffer.from('{}'))
  expect((await read(store)).data.equals(DATA)).toBe(true)
  expect(await backupObjects(manifest, MANIFEST, store, never)).toEqual(
    [
      '.db.zst.enc',
      '.index.zst',
      '.keys.1.json',
      '.keys.9.json',
      '.keys.10.json',
      '.keys.11.json',
      '.RECOVERY.md',
      '.manifest.json',
    ].map((end) => `clinic/${STEM}${end}`),
  )
})

test('threads serve one artifact after another, but none after a pass that failed, and end when nobody wants them', async () => {
  const plain = new MemoryStore()
  await writeBackup(request(plain, { encrypt: false }), giving(DATA), never)
  const damaged = copy()
  damaged.plant(ARTIFACT, Buffer.from(good.bytes(ARTIFACT)).fill(1, 100_000, 100_001))
  const before = frameThreads()
  {
    await using decoders = new Decoders(1, 60_000)
    for (const store of [good, plain, good]) {
      expect(await read(store, { decoders, manifest_sha256: null })).toEqual({ code: 'resolved', data: DATA })
      expect(frameThreads()).toBeLessThanOrEqual(before + 1)
    }
    expect((await read(damaged, { decoders })).code).toBe('ARTIFACT_CORRUPT')
    expect(frameThreads()).toBe(before)
    expect((await read(good, { decoders })).code).toBe('resolved')
  }
  expect(frameThreads()).toBe(before)
  await using hasty = new Decoders(1, 1)
  expect((await read(good, { decoders: hasty })).code).toBe('resolved')
  await expect.poll(frameThreads, { timeout: 20_000 }).toBe(before)
})

test('a reader that stops, is interrupted or fails leaves no thread at work on the file', async () => {
  const before = frameThreads()
  const work = async () => {
    await using opened = await openArtifact(address(good), never)
    for await (const _ of opened.content.chunks(never)) break
    const stop = new AbortController()
    const interrupted = (async () => {
      for await (const _ of opened.content.chunks(stop.signal)) stop.abort()
    })()
    expect(await codeOf(interrupted)).toBe('INTERRUPTED')
    const fd = openSync(join(folder, 'none'), 'w')
    closeSync(fd)
    expect(await codeOf(opened.content.writeTo(fd, never))).toBe('RESTORE_FAILED')
    const full = openSync('/dev/full', 'w')
    expect(await codeOf(opened.content.writeTo(full, never))).toMatch(/DISK_FULL|RESTORE_FAILED/)
    closeSync(full)
    const again = openSync(join(folder, 'again'), 'w')
    await opened.content.writeTo(again, never)
    expect(fstatSync(again).size).toBe(300_000)
    closeSync(again)
  }
  await work()
  expect(frameThreads()).toBe(before)
})

test('a store that breaks off while it is read is told as what it is', async () => {
  const store = copy()
  const whole = store.read.bind(store)
  store.read = async function* (key, range, signal) {
    if (key !== ARTIFACT) return yield* whole(key, range, signal)
    yield good.bytes(ARTIFACT).subarray(0, 20_000)
    throw Object.assign(new Error('gone'), { code: 'STORE_UNREACHABLE' })
  }
  const { code, data } = await read(store)
  expect(code).toBe('STORE_UNREACHABLE')
  expect(data.equals(DATA.subarray(0, data.length))).toBe(true)
})
