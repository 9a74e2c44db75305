import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { WalPiece } from '@salvor/shared/vocabulary/wal'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { WalSpool } from './spool.ts'
import { Tails } from './tails.ts'

const MB = 1 << 20
const START = BigInt(3 * MB)

async function place(folder: string, before: () => void = () => undefined) {
  const spool = await WalSpool.open(folder, MB)
  await spool.begin(1, START)
  const pieces: { readonly piece: WalPiece; readonly bytes: Buffer }[] = []
  const tails = new Tails({
    timeline: 1,
    spool,
    from: START,
    facts: (from, to) => ({
      system_id: '7',
      timeline: 1,
      segment_size: MB,
      start_lsn: lsnText(from),
      end_lsn: lsnText(to),
    }),
    async store(piece, content) {
      before()
      const bytes: Uint8Array[] = []
      for await (const chunk of content()) bytes.push(Buffer.from(chunk))
      pieces.push({ piece, bytes: Buffer.concat(bytes) })
    },
    stored: () => undefined,
    failed: (error) => {
      throw error
    },
  })
  const write = async (n: number): Promise<void> => {
    await spool.write(Buffer.alloc(8, n))
    tails.note(spool.end, (contents) =>
      contents.commit(`2025-11-27T20:39:${String(n % 60).padStart(2, '0')}.000000Z`, spool.end),
    )
  }
  return { spool, pieces, tails, write }
}

test('of a segment that fills for days some dozens of tails count, which hold every byte and all that is known of them', async () => {
  using folder = temporaryFolder()
  const { spool, pieces, tails, write } = await place(folder.path)
  for (let n = 0; n < 1000; n++) {
    await write(n)
    await tails.flush(spool.end)
  }
  // The longest that begins where the one before ended, and so on: what a restore reads.
  let at = START
  let count = 0
  for (; at < spool.end; count++) {
    const from = pieces.filter(({ piece }) => piece.start_lsn === lsnText(at))
    at = from.map(({ piece }) => lsnValue(piece.end_lsn!)).reduce((a, b) => (a > b ? a : b))
  }
  expect(count).toBeLessThan(3 * 16)
  expect(pieces.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(3 * 8 * 1000)
  const longest = pieces.reduce((a, b) => (a.bytes.length > b.bytes.length ? a : b))
  expect(longest.bytes).toHaveLength(8 * 256)
  expect(longest.bytes[8 * 200]).toBe(200)
  expect(longest.piece).toMatchObject({ last_commit_at: '2025-11-27T20:39:59.000000Z' })
  await spool[Symbol.asyncDispose]()
})

test('bytes of a tail that was not stored come with the next; of a segment that is full meanwhile they are no trouble', async () => {
  using folder = temporaryFolder()
  let act: () => void = () => undefined
  const { spool, pieces, tails, write } = await place(folder.path, () => act())
  act = () => {
    throw new Error('away')
  }
  await write(1)
  await expect(tails.flush(spool.end)).rejects.toThrow('away')
  act = () => undefined
  await write(2)
  await tails.flush(spool.end)
  expect(pieces.map(({ bytes }) => bytes.length)).toEqual([16])
  expect(pieces[0]!.piece.first_commit_at).toBe('2025-11-27T20:39:01.000000Z')
  act = () => {
    tails.segmentEnded(START + BigInt(MB))
    throw new Error('ENOENT')
  }
  await write(3)
  await tails.flush(spool.end)
  expect(tails).toMatchObject({ trouble: null, from: START + BigInt(MB) })
  await spool[Symbol.asyncDispose]()
})

test('one is begun so much earlier as a look and the storing take, but not without end', async () => {
  using folder = temporaryFolder()
  const { spool, tails, write } = await place(
    folder.path,
    () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40),
  )
  expect(tails.pauseMs(5000, 1000)).toBe(4000)
  for (let n = 0; n < 8; n++) {
    await write(n)
    await tails.flush(spool.end)
  }
  expect(tails.pauseMs(5000, 1000)).toBeLessThan(3970)
  expect(tails.pauseMs(5000, 1000)).toBeGreaterThanOrEqual(2500)
  expect(tails.pauseMs(1000, 1000)).toBe(500)
  await spool[Symbol.asyncDispose]()
})
