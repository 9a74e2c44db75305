import { expect, test } from 'vitest'
import { groupHead, headLine, type PageRun, PageStream } from './page-stream.ts'

const page_size = 512
const HEAD = { page_size, page_count: 400, digesting: { algorithm: 'nh128', salt: Buffer.alloc(16, 9) } } as const
const GROUPS: readonly (readonly PageRun[])[] = [
  [{ first: 3, count: 1 }],
  [
    { first: 7, count: 20 },
    { first: 100, count: 2 },
  ],
]

const numbers = (runs: readonly PageRun[]): number[] =>
  runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, n) => first + n))
/** Each page is full of its number. */
const page = (number: number): Buffer => Buffer.alloc(page_size, number)
const STREAM = Buffer.concat([
  headLine(HEAD),
  ...GROUPS.flatMap((runs) => [groupHead(runs), ...numbers(runs).map(page)]),
  Buffer.alloc(4),
])

function read(bytes: Buffer, chunkBytes: number): number[] {
  const given: number[] = []
  const stream = new PageStream('x', (first, pages) => {
    for (let at = 0; at < pages.length; at += page_size) {
      const number = first + at / page_size
      expect(pages.subarray(at, at + page_size).equals(page(number))).toBe(true)
      given.push(number)
    }
  })
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    // A chunk is another's as soon as it was taken.
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes))
    stream.take(chunk)
    chunk.fill(0xee)
  }
  expect(stream.end()).toEqual(HEAD)
  return given
}

const SIZES = [1, 2, 3, 5, 7, 100, 511, 512, 513, 517, 1000, 1024, 4096, STREAM.length - 1, STREAM.length, 1 << 20]

test.each(SIZES)('pages come out whole and in order from chunks of %i bytes', (size) => {
  expect(read(STREAM, size)).toEqual(numbers(GROUPS.flat()))
})

test.each(SIZES)('a stream that is cut, or goes on behind its end, is refused in chunks of %i bytes', (size) => {
  for (const cut of [1, 4, 5, 600]) expect(() => read(STREAM.subarray(0, -cut), size)).toThrow('within a group')
  const longer = Buffer.concat([STREAM, Buffer.alloc(9)])
  expect(() => read(longer, size)).toThrow(/within a group|follows its end/)
})
