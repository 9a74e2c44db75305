import { createHash } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { assert, asyncProperty, boolean, integer } from 'fast-check'
import { expect, test, vi } from 'vitest'
import { ID, never } from './backup.fixture.ts'
import { FrameTable, type Segment } from './frame-table.ts'
import { asHex } from './hash.ts'
import { encodeIndex, type IndexedArtifact } from './index-file.ts'
import { IndexInvalid, readIndex } from './index-reader.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const FRAMES = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 1_000_000 : 100_000
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

function sample(count: number, perSegment: number, encrypted = true) {
  const frames = new FrameTable()
  const segments: Segment[] = []
  for (let first = 0; first < count; first += perSegment) {
    const offset = frames.storedBytes
    for (let n = first; n < Math.min(count, first + perSegment); n++)
      frames.append(20 + ((n * 7919) % 1000), Buffer.alloc(32, n))
    const [iv, tag] = encrypted ? [Buffer.alloc(12, first), Buffer.alloc(16, first)] : [null, null]
    segments.push({ offset, stored: frames.storedBytes - offset, iv, tag })
  }
  const artifact: IndexedArtifact = {
    id: ID,
    source_bytes: (count - 1) * 1024 + 5,
    size_bytes: frames.storedBytes,
    frame_bytes: 1024,
    frames: count,
    segments: segments.length,
    segment_bytes: 1 << 30,
    encrypted,
  }
  return { artifact, index: { frames, segments } }
}

function tableOf(frames: FrameTable): string[] {
  return Array.from({ length: frames.count }, (_, n) => `${frames.stored(n)} ${asHex(frames.sha256(n))}`)
}
async function piecesOf(...args: Parameters<typeof encodeIndex>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for await (const piece of encodeIndex(...args)) pieces.push(piece)
  return pieces
}
async function encoded(...args: Parameters<typeof encodeIndex>): Promise<Buffer> {
  return Buffer.concat(await piecesOf(...args))
}
async function* inPieces(file: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}
const refusal = (file: Buffer, artifact: IndexedArtifact, digest = sha256(file)): Promise<string> =>
  readIndex(inPieces(file, 999), artifact, digest, never).then(
    () => 'accepted',
    (error: unknown) => (error instanceof IndexInvalid ? error.message : `thrown: ${String(error)}`),
  )

test('an index comes back as it was written, whatever the sizes and however it arrives', async () => {
  const property = asyncProperty(
    integer({ min: 1, max: 3000 }),
    integer({ min: 1, max: 5000 }),
    boolean(),
    integer({ min: 1, max: 100_000 }),
    async (count, perSegment, encrypted, piece) => {
      const { artifact, index } = sample(count, perSegment, encrypted)
      const file = await encoded(artifact, index)
      const found = await readIndex(inPieces(file, piece), artifact, sha256(file), never)
      expect(found.segments).toEqual(index.segments)
      expect(tableOf(found.frames)).toEqual(tableOf(index.frames))
    },
  )
  await assert(property, { numRuns: 12 })
})

test(`an index of ${FRAMES} frames is written and read in bounded memory`, async () => {
  const { artifact, index } = sample(FRAMES, 1000)
  const pieces = await piecesOf(artifact, index)
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(1 << 20)
  const file = Buffer.concat(pieces)
  const before = process.memoryUsage().arrayBuffers
  const found = await readIndex(inPieces(file, 65_536), artifact, sha256(file), never)
  expect(found.frames.count).toBe(FRAMES)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(FRAMES * 37 + (16 << 20))
})

test('whatever is wrong with an index, it is refused', async () => {
  const { artifact, index } = sample(100, 10)
  const file = await encoded(artifact, index)
  const text = zstdDecompressSync(file).toString()
  const lines = text.trimEnd().split('\n')
  const packed = (changed: readonly string[]) => zstdCompressSync(Buffer.from(`${changed.join('\n')}\n`))
  const at = (n: number, line: string) => packed(lines.with(n, line))
  expect(await refusal(file, artifact)).toBe('accepted')
  expect(await refusal(packed(lines), artifact, sha256(file))).toMatch(/SHA-256/)
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /decompress/],
    [Buffer.from('not zstd'), /decompress/],
    [file.subarray(0, -5), /decompress/],
    [zstdCompressSync(Buffer.from(text.slice(0, -1))), /within a line/],
    [packed(lines.slice(0, -1)), /fewer lines/],
    [packed([...lines, lines.at(-1)!]), /more lines/],
    [at(0, lines[0]!.replace(ID, ID.replace('0', '1'))), /another artifact/],
    [at(1, lines[1]!.replace('[0,', '[1,')), /follow/],
    [at(1, '[0,5,null,null]'), /malformed/],
    [at(1, lines[1]!.replace(/,(\d+),/, ',99999999999,')), /malformed/],
    [at(20, lines[20]!.replace('[', '[ ')), /malformed/],
    [at(20, lines[20]!.replace(/\[(\d+)/, '[0')), /too long/],
    [at(20, lines[20]!.replace(/\[(\d+)/, '[9999')), /crosses a segment/],
    [at(20, lines[20]!.replace(',1024,', ',1023,')), /plain length/],
    [packed([lines[0]!, ...lines.slice(1).toReversed()]), /malformed/],
    [at(5, 'x'.repeat(100_000)), /malformed|too long/],
    [zstdCompressSync(Buffer.alloc(300 << 20, 'x')), /too long/],
    [zstdCompressSync(Buffer.alloc(50 << 20, '\n')), /another artifact/],
  ]
  for (const [bad, reason] of cases) expect(await refusal(bad, artifact)).toMatch(reason)
  expect(await refusal(file, { ...artifact, size_bytes: artifact.size_bytes + 1 })).toMatch(/add up/)
  expect(await refusal(file, { ...artifact, frames: 1e12, source_bytes: 1e15 })).toMatch(/more frames/)
  expect(await refusal(file, { ...artifact, encrypted: false })).toMatch(/malformed/)
})

test('a store that breaks off while the index is read is told as what it is', async () => {
  const { artifact, index } = sample(100, 10)
  const file = await encoded(artifact, index)
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield file.subarray(0, 100)
    throw Object.assign(new Error('gone'), { code: 'STORE_UNREACHABLE' })
  }
  await expect(readIndex(breaking(), artifact, sha256(file), never)).rejects.toMatchObject({
    code: 'STORE_UNREACHABLE',
  })
})
