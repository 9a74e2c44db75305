import { createCipheriv, createHash, randomBytes, type CipherGCM } from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** Judges bytes that were read back. */
export interface ReadBackProof {
  given(bytes: Uint8Array): void
  seen(bytes: Uint8Array): void
  /** SHA-256 of the bytes seen, once, at the end; `sent`: of the bytes given, where it is known. Null: they differ. */
  digest(sent: string | null): string | null
}

/** For whoever compares digests: that of the bytes seen. */
export class Sha256 implements ReadBackProof {
  readonly #hash = createHash('sha256')

  given(): void {}
  seen(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }
  digest(): string {
    return this.#hash.digest('hex')
  }
}

/**
 * Compares what is read back with what was given by a GMAC of each under a key of this moment, at a tenth of the cost of SHA-256; what was given
 * is not kept, since that would be tens of MB. Other bytes have the same GMAC with a probability below 2^-90.
 */
export class SameBytes implements ReadBackProof {
  readonly #given: CipherGCM
  readonly #seen: CipherGCM

  constructor() {
    const [key, nonce] = [randomBytes(16), randomBytes(12)]
    this.#given = createCipheriv('aes-128-gcm', key, nonce)
    this.#seen = createCipheriv('aes-128-gcm', key, nonce)
  }
  given(bytes: Uint8Array): void {
    this.#given.setAAD(bytes)
  }
  seen(bytes: Uint8Array): void {
    this.#seen.setAAD(bytes)
  }
  digest(sent: string | null): string | null {
    if (sent === null) throw new SalvorError('INTERNAL', { what: 'a writer that promised a digest and told none' })
    return tag(this.#given).equals(tag(this.#seen)) ? sent : null
  }
}

function tag(mac: CipherGCM): Buffer {
  mac.final()
  return mac.getAuthTag()
}
