import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test, vi } from 'vitest'
import { AT, bytes, codeOf, giving, MANIFEST, never, request, RING } from './backup.fixture.ts'
import { openFrames } from './open-frames.ts'
import { writeBackup } from './write-backup.ts'

vi.setConfig({ testTimeout: 120_000 })

const DATA = bytes(200_000)
const address = (store: MemoryStore) => ({ store, manifest_key: MANIFEST, manifest_sha256: null, keyring: RING })

test.each([
  [true, 'zstd'],
  [true, 'gzip'],
  [false, 'zstd'],
] as const)('each frame is had alone, in any order (encrypted %s, %s)', async (encrypt, algorithm) => {
  const store = new MemoryStore({ chunkBytes: 1000 })
  await writeBackup(request(store, { encrypt, compression: { algorithm, level: 1 } }), giving(DATA), never)
  using opened = await openFrames(address(store), never)
  const { content, manifest } = opened
  expect(content.size).toBe(DATA.length)
  expect(manifest.segments).toBeGreaterThan(2)
  for (let n = manifest.frames - 1; n >= 0; n--) {
    const expected = DATA.subarray(n * content.frame_bytes, (n + 1) * content.frame_bytes)
    const into = Buffer.alloc(content.frame_bytes)
    const count = await content.frame(n, into, never)
    expect(expected.equals(into.subarray(0, count))).toBe(true)
  }
})

test('a flipped bit is found in the frame that has it, and the others are had; so is an artifact that is cut', async () => {
  const store = new MemoryStore()
  const { backup } = await writeBackup(request(store), giving(DATA), never)
  const artifact = `${AT}.db.zst.enc`
  store.flip(artifact, Math.floor(backup.size_bytes / 2), 3)
  using opened = await openFrames(address(store), never)
  const codes = []
  const into = Buffer.alloc(opened.content.frame_bytes)
  for (let n = 0; n < opened.manifest.frames; n++) codes.push(await codeOf(opened.content.frame(n, into, never)))
  expect(codes.filter((code) => code === 'ARTIFACT_CORRUPT')).toHaveLength(1)
  expect(codes.filter((code) => code === 'resolved')).toHaveLength(opened.manifest.frames - 1)

  store.plant(artifact, store.bytes(artifact).subarray(0, -1))
  expect(await codeOf(openFrames(address(store), never))).toBe('ARTIFACT_CORRUPT')
  expect(await codeOf(opened.content.frame(opened.manifest.frames - 1, into, never))).not.toBe('resolved')
})

test('a store that breaks off once is asked again, one that says no is not', async () => {
  let fails: 'STORE_UNREACHABLE' | 'STORE_DENIED' | null = null
  let asked = 0
  const before = (operation: string): void => {
    if (operation !== 'read' || fails === null) return
    asked += 1
    if (fails === 'STORE_DENIED' || asked === 1) throw new SalvorError(fails)
  }
  const store = new MemoryStore({ before })
  await writeBackup(request(store), giving(DATA), never)
  using opened = await openFrames(address(store), never)
  const into = Buffer.alloc(opened.content.frame_bytes)
  fails = 'STORE_UNREACHABLE'
  expect(await codeOf(opened.content.frame(1, into, never))).toBe('resolved')
  expect([asked, into.equals(DATA.subarray(into.length, 2 * into.length))]).toEqual([2, true])
  fails = 'STORE_DENIED'
  expect(await codeOf(opened.content.frame(1, into, never))).toBe('STORE_DENIED')
  expect(asked).toBe(3)
})
