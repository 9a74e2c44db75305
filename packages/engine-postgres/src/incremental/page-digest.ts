import { createCipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { copyInto } from '@salvor/repository/copy-into'
import { PAGE_DIGEST_BYTES, PageHasher } from '@salvor/repository/page-hash'
import { PAGE } from './form.ts'

export const KEY_BYTES = 16
/** Kept of the digest of each page. */
export const DIGEST_BYTES = 8

/** How the pages of a chain are digested (docs/format.md section 14). */
export interface Digesting {
  /** `gmac`: of chains that an older Salvor began. */
  readonly algorithm: 'nh128' | 'gmac'
  /** Never leaves the sealed digests, so nobody who writes rows can make two pages that look alike. */
  readonly key: Buffer
}

/** Digests pages as they come, many in one call: a call for each page costs more than its digest. */
export class PageDigester {
  readonly #batch: Batch
  readonly #take: (digests: Buffer, pages: Buffer) => void
  #filled = 0

  /** `take` gets so many pages and their digests in order; both are valid during the call. */
  constructor({ algorithm, key }: Digesting, take: (digests: Buffer, pages: Buffer) => void) {
    this.#batch = algorithm === 'nh128' ? new HashedBatch(key) : new GmacBatch(key)
    this.#take = take
  }

  /** Bytes of pages, cut anywhere. */
  write(bytes: Uint8Array): void {
    const { pages } = this.#batch
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + pages.length - this.#filled)
      copyInto(pages, part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === pages.length) this.flush()
    }
  }

  /** Takes what is still held. Behind the last page of a file: a part of a page is dropped. */
  flush(): void {
    const count = Math.floor(this.#filled / PAGE)
    this.#filled = 0
    if (count > 0) this.#take(this.#batch.digest(count), this.#batch.pages.subarray(0, count * PAGE))
  }
}

interface Batch {
  readonly pages: Buffer
  /** Of the first `count` pages. */
  digest(count: number): Buffer
}

class HashedBatch implements Batch {
  readonly pages: Buffer
  readonly #hasher: PageHasher
  readonly #kept: Buffer

  constructor(key: Uint8Array) {
    this.#hasher = new PageHasher(key, PAGE)
    this.pages = this.#hasher.piece
    this.#kept = Buffer.alloc((this.pages.length / PAGE) * DIGEST_BYTES)
  }

  digest(count: number): Buffer {
    const digests = this.#hasher.digest(count * PAGE)
    for (let n = 0; n < count; n++) {
      const from = n * PAGE_DIGEST_BYTES
      for (let i = 0; i < DIGEST_BYTES; i++) this.#kept[n * DIGEST_BYTES + i] = digests[from + i]!
    }
    return this.#kept.subarray(0, count * DIGEST_BYTES)
  }
}

const GMAC_PAGES = 16
const IV = Buffer.alloc(12)

/** The fixed nonce is the same page digest in every backup. */
class GmacBatch implements Batch {
  readonly pages = Buffer.alloc(GMAC_PAGES * PAGE)
  readonly #key: KeyObject
  readonly #digests = Buffer.alloc(GMAC_PAGES * DIGEST_BYTES)

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  digest(count: number): Buffer {
    for (let n = 0; n < count; n++) {
      const gmac = createCipheriv('aes-128-gcm', this.#key, IV)
      gmac.setAAD(this.pages.subarray(n * PAGE, (n + 1) * PAGE))
      gmac.final()
      gmac.getAuthTag().copy(this.#digests, n * DIGEST_BYTES, 0, DIGEST_BYTES)
    }
    return this.#digests.subarray(0, count * DIGEST_BYTES)
  }
}
