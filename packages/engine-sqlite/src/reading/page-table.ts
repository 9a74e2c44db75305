import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import { LONGEST_HEAD, parseHead } from '../pages/page-stream.ts'
import { PlainBytes } from './plain-bytes.ts'

/** Where the pages of one `.pages` artifact lie. Plain data, so that it can be given to another thread. */
export interface PageTable {
  readonly page_size: number
  readonly page_count: number
  /** Pages up to here are looked for in what is older: a state that was shorter cut the others off. */
  readonly reach: number
  /** Ascending. */
  readonly numbers: Uint32Array
  /** For each group: the place of its first number in `numbers`, and the offset of its first page in the plain bytes. */
  readonly groups: Uint32Array
  readonly offsets: Float64Array
}

/**
 * Reads the numbers of all groups and none of the pages: of an artifact with large groups a few frames. Anything that section 12 of docs/format.md
 * does not allow: ARTIFACT_CORRUPT.
 */
export async function readPageTable(frames: ArtifactFrames, signal: AbortSignal): Promise<PageTable> {
  const { id, size } = frames
  const corrupt = (reason: string) => new SalvorError('ARTIFACT_CORRUPT', { key: id, reason, source: id })
  const bytes = new PlainBytes(frames, signal)
  const begin = await bytes.read(0, Math.min(size, LONGEST_HEAD))
  const end = begin.indexOf(0x0a)
  const head = end === -1 ? null : parseHead(begin.subarray(0, end))
  if (!head) throw corrupt('its first line is not one of changed pages')
  const { page_size, page_count } = head
  const numbers = new Growing(page_count)
  const groups: number[] = []
  const offsets: number[] = []
  let at = end + 1
  let last = 0
  for (;;) {
    const count = (await bytes.read(at, 4)).readUInt32BE(0)
    at += 4
    if (count === 0) break
    if (count > page_count) throw corrupt('a group has more pages than the database')
    const listed = await bytes.read(at, 4 * count)
    groups.push(numbers.length)
    offsets.push((at += 4 * count))
    for (let i = 0; i < count; i += 1) {
      const page = listed.readUInt32BE(4 * i)
      if (page <= last || page > page_count) throw corrupt(`page ${page} is out of order`)
      numbers.push((last = page))
    }
    at += count * page_size
  }
  if (at !== size) throw corrupt('something follows its end')
  return {
    page_size,
    page_count,
    reach: page_count,
    numbers: numbers.done(),
    groups: Uint32Array.from(groups),
    offsets: Float64Array.from(offsets),
  }
}

/** Offset of page `page` in the plain bytes; null: it is not among them. */
export function placeOf({ numbers, groups, offsets, page_size }: PageTable, page: number): number | null {
  const index = lastNotAbove(numbers, page)
  if (index === -1 || numbers[index] !== page) return null
  const group = lastNotAbove(groups, index)
  return offsets[group]! + (index - groups[group]!) * page_size
}

/** Index of the last of these ascending numbers that is not above `wanted`; -1: all are. */
function lastNotAbove(ascending: Uint32Array, wanted: number): number {
  let from = 0
  let to = ascending.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (ascending[middle]! <= wanted) from = middle + 1
    else to = middle
  }
  return from - 1
}

/** Numbers in memory of their own size: a large increment has millions. */
class Growing {
  readonly #most: number
  #numbers = new Uint32Array(1024)
  length = 0

  constructor(most: number) {
    this.#most = most
  }
  push(number: number): void {
    if (this.length === this.#numbers.length) {
      const larger = new Uint32Array(Math.min(Math.max(2 * this.length, 1024), Math.max(this.#most, this.length + 1)))
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#numbers[this.length++] = number
  }
  done(): Uint32Array {
    return this.#numbers.slice(0, this.length)
  }
}
