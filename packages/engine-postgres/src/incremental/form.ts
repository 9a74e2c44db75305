import { TarInvalid } from '../tar/header.ts'

/** Pages and segments of every usual server. Others are not backed up by increments. */
export const PAGE = 8192
export const SEGMENT_PAGES = 131_072

const MAGIC = 0xd3ae1f0d
const FIXED = 12
const PREFIX = 'INCREMENTAL.'
/** Elsewhere such a name is a user's own. */
const PLACES = /^(?:(?:base|pg_tblspc\/\d+)\/(?:[^/]+\/)*|global\/)$/

/** What a member of an increment that ends in INCREMENTAL.<name> says before its pages. */
export interface IncrementalHead {
  /** Least length of the result, in pages. */
  readonly truncation: number
  /** Numbers of the pages that follow, ascending, counted from the segment's beginning. */
  readonly pages: Uint32Array
}

/** `base/5/INCREMENTAL.1259` for `base/5/1259`. */
export function incrementalName(path: string): string {
  const { folder, name } = split(path)
  return `${folder}${PREFIX}${name}`
}

/** The file that an INCREMENTAL member is about; null: the member is an ordinary file. */
export function plainName(path: string): string | null {
  const { folder, name } = split(path)
  return name.startsWith(PREFIX) && name.length > PREFIX.length && PLACES.test(folder)
    ? `${folder}${name.slice(PREFIX.length)}`
    : null
}

function split(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf('/') + 1
  return { folder: path.slice(0, at), name: path.slice(at) }
}

/** Bytes before the pages. */
export const headBytes = (pages: number): number => (pages === 0 ? FIXED : Math.ceil((FIXED + 4 * pages) / PAGE) * PAGE)

export function writeHead({ truncation, pages }: IncrementalHead): Buffer {
  const head = Buffer.alloc(headBytes(pages.length))
  head.writeUInt32LE(MAGIC, 0)
  head.writeUInt32LE(pages.length, 4)
  head.writeUInt32LE(truncation, 8)
  pages.forEach((page, i) => head.writeUInt32LE(page, FIXED + 4 * i))
  return head
}

/** Takes the head of an INCREMENTAL member in pieces. */
export class HeadReader {
  readonly #size: number
  #bytes = Buffer.alloc(FIXED)
  #filled = 0
  /** Set once all of it came. */
  head: IncrementalHead | null = null

  /** `size`: of the whole member. */
  constructor(size: number) {
    this.#size = size
    if (size < FIXED) throw new TarInvalid('an INCREMENTAL file is shorter than its head')
  }

  /** Gives how many of the bytes belong to the head. Throws TarInvalid for a head that no server writes. */
  take(bytes: Buffer): number {
    let at = 0
    while (this.head === null && at < bytes.length) {
      const count = bytes.copy(this.#bytes, this.#filled, at)
      this.#filled += count
      at += count
      if (this.#filled === this.#bytes.length) this.#full()
    }
    return at
  }

  #full(): void {
    if (this.#bytes.readUInt32LE(0) !== MAGIC) throw new TarInvalid('an INCREMENTAL file without its magic number')
    const count = this.#bytes.readUInt32LE(4)
    const truncation = this.#bytes.readUInt32LE(8)
    if (count > SEGMENT_PAGES || truncation > SEGMENT_PAGES) {
      throw new TarInvalid('an INCREMENTAL file that is larger than a segment')
    }
    const wanted = headBytes(count)
    if (this.#size !== wanted + count * PAGE) throw new TarInvalid('an INCREMENTAL file with a wrong size')
    if (this.#bytes.length < wanted) {
      const longer = Buffer.alloc(wanted)
      this.#bytes.copy(longer)
      this.#bytes = longer
      return
    }
    const pages = Uint32Array.from({ length: count }, (_, i) => this.#bytes.readUInt32LE(FIXED + 4 * i))
    pages.forEach((page, i) => {
      if (page >= SEGMENT_PAGES || (i > 0 && page <= pages[i - 1]!)) {
        throw new TarInvalid('an INCREMENTAL file with pages out of order')
      }
    })
    this.head = { truncation, pages }
  }
}
