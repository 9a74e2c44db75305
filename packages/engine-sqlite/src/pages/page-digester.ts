import { hash } from 'node:crypto'
import { DIGEST_BYTES, SALT_BYTES } from './hash-messages.ts'

/** Digests of pages: SHA-256 of salt and page. */
export class PageDigester {
  readonly #salted: Buffer
  readonly #page_size: number

  constructor(salt: Uint8Array, pageSize: number) {
    this.#page_size = pageSize
    this.#salted = Buffer.alloc(SALT_BYTES + pageSize)
    this.#salted.set(salt)
  }

  /** One digest for each of these whole pages, into `digests` from `at` on. As text, since a small buffer for each page costs half as much as its digest. */
  digest(pages: Uint8Array, digests: Buffer, at = 0): void {
    for (let page = 0; page < pages.length; page += this.#page_size) {
      this.#salted.set(pages.subarray(page, page + this.#page_size), SALT_BYTES)
      const digest = hash('sha256', this.#salted, 'binary')
      digests.write(digest, at + (page / this.#page_size) * DIGEST_BYTES, 'latin1')
    }
  }
}
