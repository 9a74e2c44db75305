import { closeSync, openSync, writeSync } from 'node:fs'
import { PAGE } from './form.ts'
import { PageCutter } from './page-cutter.ts'
import { DIGEST_BYTES, PageDigest } from './page-digest.ts'

const BUFFER = 256 * 1024

export const DIGESTS_FORMAT = 'salvor-pg-parent'

/** Writes what the next incremental needs to know, in the order in which a base backup comes (docs/format.md section 14). */
export class DigestsWriter {
  readonly #file: number
  readonly #digest: PageDigest | null
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER)
  #filled = 0
  readonly #cutter = new PageCutter()
  #manifest = false

  /** `key` null: no digests of pages, only the manifest. */
  constructor(file: string, key: Uint8Array | null) {
    this.#file = openSync(file, 'wx', 0o600)
    this.#digest = key === null ? null : new PageDigest(key)
    const pages =
      key === null ? null : { page_size: PAGE, digest_bytes: DIGEST_BYTES, key: Buffer.from(key).toString('hex') }
    this.#write(Buffer.from(`${JSON.stringify({ format: DIGESTS_FORMAT, version: 1, pages })}\n`))
  }

  /** A file of `count` pages begins; `pages` and `digests` give them. */
  file(name: string, count: number): void {
    const head = Buffer.alloc(8 + name.length)
    head.writeUInt32BE(name.length, 0)
    head.write(name, 4, 'latin1')
    head.writeUInt32BE(count, 4 + name.length)
    this.#write(head)
  }

  /** Bytes of the file that began last; whole pages over all calls. */
  pages(bytes: Buffer): void {
    this.#cutter.cut(bytes, (page) => this.#digestOf(page))
  }

  #digestOf(page: Buffer): void {
    this.#room(DIGEST_BYTES)
    this.#digest!.write(page, this.#buffer, this.#filled)
    this.#filled += DIGEST_BYTES
  }

  /** Digests that were made already. */
  digests(bytes: Uint8Array): void {
    this.#write(bytes)
  }

  /** The manifest's bytes, behind all files. */
  manifest(bytes: Uint8Array): void {
    if (!this.#manifest) this.#write(Buffer.alloc(4))
    this.#manifest = true
    this.#write(bytes)
  }

  close(): void {
    try {
      this.#flush()
    } finally {
      closeSync(this.#file)
    }
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      this.#room(1)
      const part = bytes.subarray(at, at + BUFFER - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  #room(bytes: number): void {
    if (this.#filled + bytes > BUFFER) this.#flush()
  }

  #flush(): void {
    for (let at = 0; at < this.#filled;) at += writeSync(this.#file, this.#buffer, at, this.#filled - at)
    this.#filled = 0
  }
}
