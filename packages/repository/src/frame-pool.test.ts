import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, expect, test, vi } from 'vitest'
import { bytes, frameThreads } from './backup.fixture.ts'
import { type FrameFailure, FramePool } from './frame-pool.ts'
import { codecWorks, compressFrame, decompressFrame } from './frames.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const FRAME = 65_536
const folder = mkdtempSync(join(tmpdir(), 'salvor-frames-'))
afterAll(() => rmSync(folder, { recursive: true }))

const openPool = (threads = 2, algorithm: 'zstd' | 'gzip' = 'zstd') =>
  FramePool.open({ threads, compression: { algorithm, level: 1 }, frameBytes: FRAME })
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

async function compressed(pool: FramePool, data: Uint8Array): Promise<Buffer> {
  const slot = await pool.acquire()
  pool.memory.input(slot).set(data)
  const length = await pool.run({ kind: 'compress', slot, filled: data.length, file: null })
  const stored = Buffer.from(pool.memory.output(slot).subarray(0, length))
  pool.release(slot)
  return stored
}

async function decoding(pool: FramePool, stored: Uint8Array, plain: number, digest = sha256(stored)): Promise<string> {
  const slot = await pool.acquire()
  pool.memory.input(slot).set(stored)
  const job = { kind: 'decode', slot, stored: stored.length, plain, sha256: digest, cipher: null, into: null } as const
  try {
    const length = await pool.run(job)
    return sha256(pool.memory.output(slot).subarray(0, length))
  } catch (error) {
    return (error as FrameFailure).kind
  } finally {
    pool.release(slot)
  }
}

test('the codec of this build gives back what it compressed, at the edges of a frame', () => {
  expect(codecWorks()).toBe(true)
  for (const algorithm of ['zstd', 'gzip'] as const)
    for (const size of [0, 1, FRAME - 1, FRAME]) {
      const data = bytes(size)
      const frame = compressFrame(data, { algorithm, level: 1 })
      expect(decompressFrame(frame, size, algorithm).equals(data)).toBe(true)
      expect(() => decompressFrame(frame, size + 1, algorithm)).toThrow(/instead of/)
    }
})

test('a frame of one byte more than the index promised is refused', () => {
  for (const algorithm of ['zstd', 'gzip'] as const)
    for (const size of [1, 2, FRAME]) {
      const frame = compressFrame(bytes(size), { algorithm, level: 1 })
      expect(() => decompressFrame(frame, size - 1, algorithm)).toThrow(/larger than|instead of/)
    }
})

test('a bomb is stopped at the length that the index promised', () => {
  for (const algorithm of ['zstd', 'gzip'] as const) {
    const bomb = compressFrame(Buffer.alloc(64 << 20), { algorithm, level: 1 })
    const before = process.memoryUsage().arrayBuffers
    expect(() => decompressFrame(bomb, FRAME, algorithm)).toThrow(/larger than/)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20)
  }
})

test.each(['zstd', 'gzip'] as const)(
  'threads compress %s frames that every tool opens, and open them again',
  async (codec) => {
    await using pool = openPool(2, codec)
    const parts = Array.from({ length: 30 }, (_, n) => bytes(n === 7 ? 0 : FRAME - n, n))
    const frames = await Promise.all(parts.map((part) => compressed(pool, part)))
    const open = codec === 'zstd' ? zstdDecompressSync : gunzipSync
    expect(frames.every((frame, n) => open(frame).equals(parts[n]!))).toBe(true)
    for (const [n, frame] of frames.entries())
      expect(await decoding(pool, frame, parts[n]!.length)).toBe(sha256(parts[n]!))
  },
)

test('a thread reads its part of a file itself, leaves ranges of zeros unread, and says when the file is too short', async () => {
  await using pool = openPool(1)
  const data = bytes(200_000)
  const path = join(folder, 'source')
  writeFileSync(path, data)
  const fd = openSync(path, 'r')
  const slot = await pool.acquire()
  pool.memory.input(slot).fill(0xff).set(Buffer.from('head'))
  const zeros = [
    [0, 10],
    [500, 100],
    [59_990, 10],
  ] as const
  const file = { fd, offset: 100_000, length: 60_000, zeros }
  const length = await pool.run({ kind: 'compress', slot, filled: 4, file })
  const expected = Buffer.concat([Buffer.from('head'), data.subarray(100_000, 160_000)])
  for (const [offset, length] of zeros) expected.fill(0, 4 + offset, 4 + offset + length)
  expect(zstdDecompressSync(pool.memory.output(slot).subarray(0, length)).equals(expected)).toBe(true)
  const beyond = { fd, offset: 150_000, length: 60_000, zeros: [] }
  await expect(pool.run({ kind: 'compress', slot, filled: 0, file: beyond })).rejects.toMatchObject({ kind: 'short' })
  closeSync(fd)
  await expect(pool.run({ kind: 'compress', slot, filled: 0, file })).rejects.toMatchObject({
    kind: 'read',
    message: 'EBADF',
  })
})

test('a frame is opened only when it is the one of the index, and only to its own length', async () => {
  await using pool = openPool(2)
  const data = bytes(30_000)
  const stored = compressFrame(data, { algorithm: 'zstd', level: 1 })
  const flipped = Buffer.from(stored)
  flipped[100]! ^= 4
  expect(await decoding(pool, stored, 30_000)).toBe(sha256(data))
  expect(await decoding(pool, flipped, 30_000, sha256(stored))).toBe('digest')
  expect(await decoding(pool, flipped, 30_000, sha256(flipped))).toBe('decode')
  expect(await decoding(pool, stored, 29_999)).toBe('decode')
})

test('frames go to their own places in a file', async () => {
  await using pool = openPool(2)
  const path = join(folder, 'target')
  const fd = openSync(path, 'w')
  const parts = Array.from({ length: 5 }, (_, n) => bytes(1000, n))
  await Promise.all(
    parts.map(async (part, n) => {
      const stored = compressFrame(part, { algorithm: 'zstd', level: 1 })
      const slot = await pool.acquire()
      pool.memory.input(slot).set(stored)
      const into = { fd, offset: n * 1000 }
      const job = {
        kind: 'decode',
        slot,
        stored: stored.length,
        plain: 1000,
        sha256: sha256(stored),
        cipher: null,
        into,
      }
      await pool.run(job as Parameters<typeof pool.run>[0])
    }),
  )
  closeSync(fd)
  expect(readFileSync(path).equals(Buffer.concat(parts))).toBe(true)
})

test('slots bound what is under way, and a freed one wakes who waits', async () => {
  await using pool = openPool(2)
  const slots = Array.from({ length: pool.slots }, () => pool.tryAcquire())
  expect(new Set(slots).size).toBe(8)
  expect(pool.tryAcquire()).toBeNull()
  const waiting = pool.acquire()
  pool.release(slots[3]!)
  expect(await waiting).toBe(slots[3])
})

test('a pool that is given up leaves no thread, no waiting call and no key', async () => {
  const before = frameThreads()
  const pool = openPool(3)
  await expect.poll(frameThreads).toBe(before + (process.platform === 'linux' ? 3 : 0))
  pool.memory.key.fill(7)
  const slots = Array.from({ length: pool.slots }, () => pool.tryAcquire()!)
  const jobs = slots.map((slot) => pool.run({ kind: 'compress', slot, filled: FRAME, file: null }))
  const waiting = pool.acquire()
  const ended = Promise.allSettled([waiting, ...jobs])
  await pool[Symbol.asyncDispose]()
  expect((await ended).some(({ status }) => status === 'rejected')).toBe(true)
  await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' })
  expect(frameThreads()).toBe(before)
  expect(Buffer.from(pool.memory.key).equals(Buffer.alloc(32))).toBe(true)
  expect(() => pool.tryAcquire()).toThrow('Interrupted')
})
