import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { algorithmOf, type Digesting } from './digesting.ts'

/** The first line of a `.pages` artifact (docs/format.md section 12). */
export interface PagesHead {
  readonly page_size: number
  readonly page_count: number
  /** Of the digests of this state; null: it has none. */
  readonly digesting: Digesting | null
}

const FORMAT = 'salvor-pages'
export const LONGEST_HEAD = 4096
const LARGEST_PAGE = 65_536

export function headLine(head: PagesHead): Buffer {
  const { page_size, page_count, digesting } = head
  const salt = digesting?.salt.toString('hex') ?? ''
  const named = digesting === null || digesting.algorithm === 'sha256' ? {} : { algorithm: digesting.algorithm }
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: 1, page_size, page_count, salt, ...named })}\n`)
}

/** The first line without its LF; null: it is not one of changed pages. */
export function parseHead(line: Buffer): PagesHead | null {
  try {
    const head = JSON.parse(line.toString('utf8')) as Record<string, unknown>
    const { format, version, page_size, page_count, salt } = head
    const size = Number(page_size)
    const known = format === FORMAT && version === 1 && size >= 512 && size <= LARGEST_PAGE && (size & (size - 1)) === 0
    if (!known || !Number.isInteger(page_count)) return null
    const algorithm = algorithmOf(head['algorithm'])
    if (algorithm === null) return null
    const digesting = typeof salt === 'string' && salt !== '' ? { algorithm, salt: Buffer.from(salt, 'hex') } : null
    return { page_size: size, page_count: Number(page_count), digesting }
  } catch {
    return null
  }
}

/** Neighbouring pages. */
export interface PageRun {
  readonly first: number
  readonly count: number
}

/** The numbers of a group; its pages follow. An empty one ends the stream. */
export function groupHead(runs: readonly PageRun[]): Buffer {
  const pages = runs.reduce((sum, { count }) => sum + count, 0)
  const bytes = Buffer.alloc(4 + 4 * pages)
  let at = bytes.writeUInt32BE(pages, 0)
  for (const { first, count } of runs)
    for (let page = first; page < first + count; page += 1) at = bytes.writeUInt32BE(page, at)
  return bytes
}

/** Takes a `.pages` stream apart as its chunks come. Anything that section 12 does not allow: ARTIFACT_CORRUPT. */
export class PageStream {
  readonly #key: string
  readonly #onRun: (first: number, pages: Buffer) => void
  #held: Buffer = Buffer.alloc(0)
  #head: PagesHead | null = null
  #numbers: number[] = []
  /** Those of `#numbers` whose pages were given. */
  #given = 0
  #last = 0
  #ended = false

  /** `onRun`: pages that follow each other, from number `first` on; the bytes are valid until it returns. */
  constructor(key: string, onRun: (first: number, pages: Buffer) => void) {
    this.#key = key
    this.#onRun = onRun
  }

  /** Null before the first line has come; it is there when the first page is given. */
  get head(): PagesHead | null {
    return this.#head
  }

  /** Whole pages are given as they lie in the chunk; only what a chunk cuts in two is copied. */
  take(chunk: Uint8Array): void {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    if (this.#ended && rest.length > 0) throw this.#corrupt('more follows its end')
    while (this.#held.length > 0 && rest.length > 0) {
      const missing = Math.max(1, this.#unit() - this.#held.length)
      this.#held = Buffer.concat([this.#held, rest.subarray(0, missing)])
      rest = rest.subarray(missing)
      while (this.#step());
    }
    if (rest.length === 0) return
    this.#held = rest
    while (this.#step());
    this.#held = Buffer.from(this.#held)
  }

  /** After the last chunk. */
  end(): PagesHead {
    if (!this.#head || !this.#ended || this.#held.length > 0) throw this.#corrupt('it ends within a group')
    return this.#head
  }

  /** Bytes of what comes next, as far as they are known. */
  #unit(): number {
    if (!this.#head) return LONGEST_HEAD
    if (this.#given < this.#numbers.length) return this.#head.page_size
    return this.#held.length < 4 ? 4 : 4 + 4 * this.#held.readUInt32BE(0)
  }

  /** False: more bytes are needed. */
  #step(): boolean {
    if (!this.#head) return this.#readHead()
    if (this.#ended) return false
    const wanted = this.#numbers.length - this.#given
    if (wanted === 0) return this.#readNumbers(this.#head)
    const { page_size } = this.#head
    const here = Math.min(wanted, Math.floor(this.#held.length / page_size))
    if (here === 0) return false
    const first = this.#numbers[this.#given]!
    let count = 1
    while (count < here && this.#numbers[this.#given + count] === first + count) count += 1
    this.#onRun(first, this.#held.subarray(0, count * page_size))
    this.#held = this.#held.subarray(count * page_size)
    this.#given += count
    return true
  }

  #readHead(): boolean {
    const end = this.#held.indexOf(0x0a)
    if (end === -1 && this.#held.length < LONGEST_HEAD) return false
    this.#head = parseHead(this.#held.subarray(0, end === -1 ? this.#held.length : end))
    if (!this.#head) throw this.#corrupt('its first line is not one of changed pages')
    this.#held = this.#held.subarray(end + 1)
    return true
  }

  #readNumbers({ page_count }: PagesHead): boolean {
    if (this.#held.length < 4) return false
    const count = this.#held.readUInt32BE(0)
    if (count > page_count) throw this.#corrupt('a group has more pages than the database')
    if (this.#held.length < 4 + 4 * count) return false
    this.#numbers = []
    this.#given = 0
    for (let i = 0; i < count; i += 1) {
      const page = this.#held.readUInt32BE(4 + 4 * i)
      if (page <= this.#last || page > page_count) throw this.#corrupt(`page ${page} is out of order`)
      this.#numbers.push(page)
      this.#last = page
    }
    this.#held = this.#held.subarray(4 + 4 * count)
    this.#ended = count === 0
    return true
  }

  #corrupt(reason: string): SalvorError {
    return new SalvorError('ARTIFACT_CORRUPT', { key: this.#key, reason, source: this.#key })
  }
}
