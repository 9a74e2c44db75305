import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { blockId, BlockBuffer, blockSizeAt, blockSizeFor, fromToken, MiB, MOST_BLOCKS, toToken } from './blocks.ts'

test('a block has one name for the same bytes of a blob up to its end, another for any other', () => {
  const after = (...parts: string[]) => parts.reduce((hash, part) => hash.update(part), createHash('sha256'))
  expect(blockId(1, after('ab', 'c'))).toBe(blockId(1, after('a', 'bc')))
  expect(blockId(1, after('abd'))).not.toBe(blockId(1, after('abc')))
  expect(blockId(2, after('abc'))).not.toBe(blockId(1, after('abc')))
  expect(new Set([0, 1, 49_999].map((n) => blockId(n, after(String(n))).length))).toEqual(new Set([48]))
})

test('every size that is known beforehand fits, and one that is not can grow beyond a terabyte', () => {
  for (const size of [null, 0, 1, 800_000 * MiB, 800_001 * MiB, 4_000_000 * MiB]) {
    const blockSize = blockSizeFor(size)
    let room = 0
    for (let n = 0; n < MOST_BLOCKS; n++) room += blockSizeAt(blockSize, n)
    expect(room).toBeGreaterThanOrEqual(size ?? 1_000_000 * MiB)
  }
  expect(blockSizeFor(100 * MiB)).toBe(16 * MiB)
})

test('a token says where to go on; anything else says nothing', () => {
  const progress = { block_size: 16 * MiB, blocks: 3, echoed: true }
  expect(fromToken(toToken(progress))).toEqual(progress)
  expect(toToken({ ...progress, blocks: 0 })).toBeNull()
  for (const bad of [null, undefined, '', '[]', '{}', 'x', '{"v":2,"block_size":16777216,"blocks":3}'])
    expect(fromToken(bad)).toBeNull()
  for (const bad of [{ block_size: 1 }, { block_size: 1e15 }, { blocks: -1 }, { blocks: 1e9 }, { blocks: 1.5 }])
    expect(fromToken(JSON.stringify({ v: 1, ...progress, ...bad }))).toBeNull()
})

test('a buffer takes what there is room for and keeps no more memory than it needs', () => {
  const buffer = new BlockBuffer(10, 2)
  expect([buffer.append(Buffer.from('abc')), buffer.append(Buffer.from('defghijkl')), buffer.isFull]).toEqual([
    3,
    7,
    true,
  ])
  expect(buffer.bytes.toString()).toBe('abcdefghij')
  expect(buffer.append(Buffer.from('x'))).toBe(0)
  expect(new BlockBuffer(16 * MiB).bytes.buffer.byteLength).toBeLessThanOrEqual(64 * 1024)
})
