import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { segmentAt } from '@salvor/shared/vocabulary/wal'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { WalSpool } from './spool.ts'

const MB = 1 << 20
const name = (timeline: number, n: number): string => segmentAt(timeline, BigInt(n * MB), MB)
const at = (n: number): bigint => BigInt(n * MB)

/** A spool in which a worker that died left whole segments of these timelines and numbers. */
async function spoolWith(folder: string, left: readonly (readonly [timeline: number, n: number])[]): Promise<WalSpool> {
  for (const [timeline, n] of left) writeFileSync(join(folder, name(timeline, n)), Buffer.alloc(MB))
  return WalSpool.open(folder, MB)
}

test('a stream takes up what follows, drops what is stored, and throws away nothing else', async () => {
  using folder = temporaryFolder()
  const left = [
    [1, 2],
    [1, 3],
    [1, 4],
    [1, 6],
    [2, 5],
  ] as const
  await using spool = await spoolWith(folder.path, left)
  writeFileSync(join(folder.path, `${name(1, 7)}.partial`), 'half')
  writeFileSync(join(folder.path, name(1, 8)), 'cut short')
  expect(await spool.takeUp(1, at(3) + 5n)).toEqual([at(3), at(4)])
  expect(spool.waiting).toBe(2 * MB)
  // Behind a hole, and of the next timeline: acknowledged perhaps, and stored nowhere.
  const partial = `${name(1, 7)}.partial`
  expect(readdirSync(folder.path).toSorted()).toEqual([name(1, 3), name(1, 4), name(1, 6), partial, name(2, 5)])
  expect(await spool.takeUp(2, at(5))).toEqual([at(5)])
  expect(readdirSync(folder.path)).toEqual([name(2, 5)])
})

test('a catalog that knows nothing begins with what lies in the spool', async () => {
  using folder = temporaryFolder()
  await using spool = await spoolWith(folder.path, [
    [1, 1],
    [1, 3],
    [1, 4],
    [2, 2],
  ])
  expect(await spool.beginning(1, at(5))).toBe(at(3))
  expect(await spool.beginning(1, at(6))).toBe(at(6))
  expect(readdirSync(folder.path)).toHaveLength(4)
})

test('the tip that an earlier stream received stays until its bytes have come again', async () => {
  using folder = temporaryFolder()
  await using spool = await WalSpool.open(folder.path, MB)
  const file = join(folder.path, `${name(1, 3)}.partial`)
  writeFileSync(file, Buffer.alloc(5000, 7))
  expect(await spool.takeUp(1, at(3) + 100n)).toEqual([])
  await spool.begin(1, at(3))
  expect([spool.bytes, spool.end]).toEqual([0, at(3)])
  await spool.write(Buffer.alloc(2000, 7))
  expect(readFileSync(file).equals(Buffer.alloc(5000, 7))).toBe(true)
  await spool.write(Buffer.alloc(MB - 2000, 8))
  await spool.finish()
  expect(
    readFileSync(join(folder.path, name(1, 3))).equals(
      Buffer.concat([Buffer.alloc(2000, 7), Buffer.alloc(MB - 2000, 8)]),
    ),
  ).toBe(true)
})

test('bytes are synced at any moment while a segment ends and the next begins', async () => {
  using folder = temporaryFolder()
  await using spool = await WalSpool.open(folder.path, MB)
  await spool.begin(1, at(1))
  const ended = new AbortController()
  const syncing = Array.from({ length: 3 }, async () => {
    while (!ended.signal.aborted) await Promise.all([spool.sync(), new Promise(setImmediate)])
  })
  for (let n = 1; n < 30; n++) {
    await spool.write(Buffer.alloc(MB, n))
    await spool.finish()
    await spool.begin(1, at(n + 1))
  }
  ended.abort()
  await Promise.all(syncing)
  expect(spool.waiting).toBe(29 * MB)
})

test('the segment at hand can be read at the very moment at which it is finished', async () => {
  using folder = temporaryFolder()
  await using spool = await WalSpool.open(folder.path, MB)
  const lengthOf = async (n: number): Promise<number> => {
    let bytes = 0
    for await (const chunk of spool.read(1, at(n), at(n + 1))) bytes += chunk.length
    return bytes
  }
  for (let n = 1; n <= 20; n++) {
    await spool.begin(1, at(n))
    await spool.write(Buffer.alloc(MB, n))
    const finished = spool.finish()
    const reads = Promise.all(Array.from({ length: 4 }, () => lengthOf(n)))
    await finished
    expect(await reads).toEqual([MB, MB, MB, MB])
  }
})
