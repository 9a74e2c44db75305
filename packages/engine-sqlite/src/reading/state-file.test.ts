import { expect, test } from 'vitest'
import { FrameCache } from './frame-cache.ts'
import type { PageTable } from './page-table.ts'
import { StateFile } from './state-file.ts'

const PAGE = 512
const ROUNDS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 2_000 : 200

/** An increment whose pages are all in one group. Its page n holds the byte `mark`. */
function increment(page_count: number, pages: readonly number[]): { table: PageTable } {
  const groups = Uint32Array.from(pages.length > 0 ? [0] : [])
  const offsets = Float64Array.from(groups.length > 0 ? [0] : [])
  return {
    table: { page_size: PAGE, page_count, reach: page_count, numbers: Uint32Array.from(pages), groups, offsets },
  }
}

/** Each artifact is full of its own number, from 1 on. */
const marks = (artifact: number, _offset: number, into: Uint8Array): boolean => {
  into.fill(artifact + 1)
  return true
}

test('random chains of growing and shrinking states read as what applying them one by one gives', () => {
  let seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`seed ${seed}`)
  const upTo = (most: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * (most + 1))
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const full = upTo(12)
    let applied = Array.from({ length: full }, () => 1)
    const chain = Array.from({ length: upTo(4) }, (_, i) => {
      const count = 1 + upTo(12)
      const pages = Array.from({ length: count }, (_, page) => page + 1).filter(() => upTo(2) === 0)
      applied = Array.from({ length: count }, (_, page) => (pages.includes(page + 1) ? i + 2 : (applied[page] ?? 0)))
      return increment(count, pages)
    })
    const state = new StateFile({ size: full * PAGE, frame_bytes: 4096 }, chain, marks)
    expect(state.size).toBe(applied.length * PAGE)
    const bytes = new Uint8Array(state.size)
    expect(state.read(0, bytes)).toBe(true)
    expect(applied.map((_, page) => bytes[page * PAGE + 7])).toEqual(applied)
  }
})

test('a read across pages and behind the end is put together, with zeros where nothing is', () => {
  const state = new StateFile({ size: 2 * PAGE, frame_bytes: 4096 }, [increment(3, [2])], marks)
  const bytes = new Uint8Array(4 * PAGE).fill(9)
  expect(state.read(10, bytes)).toBe(true)
  const [first, second, third, behind] = [0, PAGE, 2 * PAGE, 3 * PAGE].map((at) => bytes[at])
  expect([first, second, third, behind]).toEqual([1, 2, 0, 0])
})

test('a cache of frames keeps those that were used last, in as many slots as it has, and survives a frame that is lost', () => {
  const loaded: string[] = []
  const cache = new FrameCache(2, (artifact, frame, slot) => {
    loaded.push(`${artifact}:${frame}>${slot}`)
    return frame !== 13
  })
  expect([cache.slotOf(0, 1), cache.slotOf(0, 2), cache.slotOf(0, 1), cache.slotOf(1, 2)]).toEqual([0, 1, 0, 1])
  expect([cache.slotOf(0, 1), cache.slotOf(0, 13), cache.slotOf(0, 5), cache.slotOf(0, 6)]).toEqual([0, null, 0, 1])
  expect(loaded).toEqual(['0:1>0', '0:2>1', '1:2>1', '0:13>1', '0:5>0', '0:6>1'])
})
