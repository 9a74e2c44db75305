// Worker threads load this file by itself: only Node's own modules may be imported here.

const LANES = 32
const PRIME = 16_777_619
/** Start values of PostgreSQL's 32 parallel FNV-1a sums (storage/checksum_impl.h). */
const START = Int32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
)
/** The word of the page header whose lower half is pd_checksum, and the one whose upper half is pd_upper. */
const CHECKSUM_WORD = 2
const UPPER_WORD = 3

export type PageVerdict = 'good' | 'new' | 'bad'

/**
 * Judges the page of `words` words at `at`. `block` is its number in the relation. The checksum field is cleared on the
 * way. A page without contents is new: it has no checksum, and must be all zeros.
 */
export function judgePage(page: Int32Array, at: number, words: number, block: number): PageVerdict {
  if (page[at + UPPER_WORD]! >>> 16 === 0) return isZero(page, at, words) ? 'new' : 'bad'
  const header = page[at + CHECKSUM_WORD]!
  page[at + CHECKSUM_WORD] = header & 0xffff_0000
  return pageChecksum(page, at, words, block) === (header & 0xffff) ? 'good' : 'bad'
}

/** The checksum of a page whose checksum field is zero. */
export function pageChecksum(page: Int32Array, at: number, words: number, block: number): number {
  let result = 0
  const end = at + words
  for (let lane = 0; lane < LANES; lane += 4) {
    let a = START[lane]!
    let b = START[lane + 1]!
    let c = START[lane + 2]!
    let d = START[lane + 3]!
    for (let i = at + lane; i < end; i += LANES) {
      a = mix(a, page[i]!)
      b = mix(b, page[i + 1]!)
      c = mix(c, page[i + 2]!)
      d = mix(d, page[i + 3]!)
    }
    result ^= twice(a) ^ twice(b) ^ twice(c) ^ twice(d)
  }
  return (((result ^ block) >>> 0) % 65_535) + 1
}

const mix = (sum: number, value: number): number => {
  const x = sum ^ value
  return Math.imul(x, PRIME) ^ (x >>> 17)
}
const twice = (sum: number): number => mix(mix(sum, 0), 0)

function isZero(page: Int32Array, at: number, words: number): boolean {
  for (let i = at; i < at + words; i++) if (page[i] !== 0) return false
  return true
}
