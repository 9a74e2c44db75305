import { createHash, hash } from 'node:crypto'

export const SHA256_BYTES = 32

/** SHA-256 of bytes at hand, hex. */
export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}

export function asHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** SHA-256 of bytes that pass by. */
export class StreamHash {
  readonly #hash = createHash('sha256')
  bytes = 0

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
  }
  /** Once, at the end. */
  hex(): string {
    return this.#hash.digest('hex')
  }
}
