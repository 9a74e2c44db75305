import { closeSync, openSync, writeSync } from 'node:fs'
import { PAGE } from './form.ts'
import { DIGEST_BYTES, type Digesting, PageDigester } from './page-digest.ts'

const BUFFER = 256 * 1024

export const DIGESTS_FORMAT = 'salvor-pg-parent'

/** Writes what the next incremental needs to know, in the order in which a base backup comes (docs/format.md section 14). */
export class DigestsWriter {
  readonly #file: number
  readonly #digesting: Digesting | null
  #digester: PageDigester | null = null
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER)
  #filled = 0
  #flushed = 0
  #manifestAt: number | null = null

  /** `digesting` null: no digests of pages, only the manifest. */
  constructor(file: string, digesting: Digesting | null) {
    this.#file = openSync(file, 'wx', 0o600)
    this.#digesting = digesting
    this.#write(Buffer.from(`${JSON.stringify({ format: DIGESTS_FORMAT, ...formOf(digesting) })}\n`))
  }

  /** Where the next byte goes. */
  get at(): number {
    return this.#flushed + this.#filled
  }

  /** Where the manifest begins; null: none came. */
  get manifestAt(): number | null {
    return this.#manifestAt
  }

  /** A file of `count` pages begins; `pages` and `digests` give them. */
  file(name: string, count: number): void {
    this.#digester?.flush()
    const head = Buffer.alloc(8 + name.length)
    head.writeUInt32BE(name.length, 0)
    head.write(name, 4, 'latin1')
    head.writeUInt32BE(count, 4 + name.length)
    this.#write(head)
  }

  /** Bytes of the file that began last; whole pages over all calls. */
  pages(bytes: Buffer): void {
    this.#digester ??= new PageDigester(this.#digesting!, (digests) => this.#write(digests))
    this.#digester.write(bytes)
  }

  /** Digests that were made already. */
  digests(bytes: Uint8Array): void {
    this.#write(bytes)
  }

  /** The manifest's bytes, behind all files. */
  manifest(bytes: Uint8Array): void {
    this.#digester?.flush()
    if (this.#manifestAt === null) {
      this.#write(Buffer.alloc(4))
      this.#manifestAt = this.at
    }
    this.#write(bytes)
  }

  close(): void {
    try {
      this.#digester?.flush()
      this.#flush()
    } finally {
      closeSync(this.#file)
    }
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === BUFFER) this.#flush()
      const part = bytes.subarray(at, at + BUFFER - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  #flush(): void {
    for (let at = 0; at < this.#filled;) at += writeSync(this.#file, this.#buffer, at, this.#filled - at)
    this.#flushed += this.#filled
    this.#filled = 0
  }
}

function formOf(digesting: Digesting | null): { readonly version: number; readonly pages: unknown } {
  if (digesting === null) return { version: 1, pages: null }
  const { algorithm, key } = digesting
  const pages = { page_size: PAGE, digest_bytes: DIGEST_BYTES, key: key.toString('hex') }
  return algorithm === 'gmac' ? { version: 1, pages } : { version: 2, pages: { ...pages, algorithm } }
}
