import { createHash } from 'node:crypto'

/** Digest of a whole state: SHA-256 over the digests of its pages, in order. */
export class DigestsState {
  readonly #hash = createHash('sha256')

  add(digests: Uint8Array): void {
    this.#hash.update(digests)
  }
  /** Once, at the end. */
  hex(): string {
    return this.#hash.digest('hex')
  }
}
