import { createCipheriv, createSecretKey, type KeyObject } from 'node:crypto'

export const KEY_BYTES = 16
export const DIGEST_BYTES = 8

const IV = Buffer.alloc(12)

/**
 * What tells a changed page from an unchanged one: the first 8 bytes of its GMAC. The key never leaves the sealed digests, so
 * nobody who writes rows can make two pages that look alike; the fixed nonce is the same page digest in every backup.
 */
export class PageDigest {
  readonly #key: KeyObject

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  /** Writes the digest of `page` at `at` of `into`. */
  write(page: Uint8Array, into: Buffer, at: number): void {
    const gmac = createCipheriv('aes-128-gcm', this.#key, IV)
    gmac.setAAD(page)
    gmac.final()
    gmac.getAuthTag().copy(into, at, 0, DIGEST_BYTES)
  }
}
