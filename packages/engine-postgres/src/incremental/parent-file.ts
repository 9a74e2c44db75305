import { closeSync, openSync, readSync } from 'node:fs'
import { PAGE } from './form.ts'
import { DIGESTS_FORMAT } from './digests-writer.ts'
import { NameTable } from './name-table.ts'
import { DIGEST_BYTES, type Digesting, KEY_BYTES } from './page-digest.ts'

/** A parent's digests that are none. */
export class ParentUnknown extends Error {
  constructor(reason: string) {
    super(`the digests of the parent cannot be used: ${reason}`)
    this.name = 'ParentUnknown'
  }
}

const LONGEST_HEAD = 4096
const LONGEST_NAME = 4096
const CHUNK = 64 * 1024

/** Digests of the pages of one file, and where they lie in those of the parent. */
export interface ParentDigests {
  readonly at: number
  readonly bytes: Buffer
}

/** The digests of a parent, in a scratch file. Only an index is held in memory. */
export class ParentFile implements Disposable {
  readonly #file: number
  readonly #names = new NameTable()
  /** Null: only the manifest was kept. */
  readonly digesting: Digesting | null
  readonly #manifestAt: number

  /** Throws ParentUnknown. */
  constructor(path: string) {
    this.#file = openSync(path, 'r')
    try {
      const head = this.#read(0, LONGEST_HEAD, false)
      const end = head.indexOf(0x0a)
      this.digesting = digestingOf(end === -1 ? '' : head.toString('utf8', 0, end))
      this.#manifestAt = this.#index(end + 1)
    } catch (error) {
      closeSync(this.#file)
      throw error
    }
  }

  /** Digests of a file's pages in the parent; null: it was not there. */
  digestsOf(name: string): ParentDigests | null {
    const at = this.#names.find(name, (offset) => this.#nameAt(offset) === name)
    if (at === null) return null
    const after = at + 4 + name.length
    return { at: after + 4, bytes: this.#read(after + 4, this.#number(after) * DIGEST_BYTES) }
  }

  /** Where its manifest begins. */
  get manifestAt(): number {
    return this.#manifestAt
  }

  /** The parent's backup_manifest, byte for byte. A chunk is overwritten by the next. */
  *manifest(): Generator<Buffer> {
    const buffer = Buffer.allocUnsafe(CHUNK)
    for (let at = this.#manifestAt, count; (count = readSync(this.#file, buffer, 0, CHUNK, at)) > 0; at += count) {
      yield buffer.subarray(0, count)
    }
  }

  /** Gives where the manifest begins. */
  #index(from: number): number {
    let at = from
    for (;;) {
      const length = this.#number(at)
      if (length === 0) return at + 4
      if (length > LONGEST_NAME || this.digesting === null) throw new ParentUnknown('a file name that is too long')
      this.#names.add(this.#nameAt(at), at)
      at += 8 + length + this.#number(at + 4 + length) * DIGEST_BYTES
    }
  }

  #nameAt(offset: number): string {
    return this.#read(offset + 4, Math.min(this.#number(offset), LONGEST_NAME)).toString('latin1')
  }

  #number(at: number): number {
    return this.#read(at, 4).readUInt32BE(0)
  }

  #read(at: number, length: number, whole = true): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    for (
      let count;
      filled < length && (count = readSync(this.#file, bytes, filled, length - filled, at + filled)) > 0;
    ) {
      filled += count
    }
    if (whole && filled < length) throw new ParentUnknown('they end too early')
    return bytes.subarray(0, filled)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

/** Version 1 has no name of its algorithm. */
const ALGORITHMS = { 1: 'gmac', 2: 'nh128' } as const

function digestingOf(line: string): Digesting | null {
  try {
    const { format, version, pages } = JSON.parse(line) as Record<string, unknown>
    if (format !== DIGESTS_FORMAT || (version !== 1 && version !== 2))
      throw new ParentUnknown(`their form is not ${DIGESTS_FORMAT} 1 or 2`)
    if (pages === null && version === 1) return null
    const { page_size, digest_bytes, key, algorithm = 'gmac' } = pages as Record<string, unknown>
    const bytes = Buffer.from(String(key), 'hex')
    const known = page_size === PAGE && digest_bytes === DIGEST_BYTES && bytes.length === KEY_BYTES
    if (known && algorithm === ALGORITHMS[version]) return { algorithm: ALGORITHMS[version], key: bytes }
    throw new ParentUnknown('page size, key or algorithm are not known')
  } catch (error) {
    if (error instanceof ParentUnknown) throw error
    throw Object.assign(new ParentUnknown('they have no head'), { cause: error })
  }
}
