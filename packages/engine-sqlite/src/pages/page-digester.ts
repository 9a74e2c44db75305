import { hash } from 'node:crypto'
import { PAGE_DIGEST_BYTES, PageHasher } from '@salvor/repository/page-hash'
import type { DigestAlgorithm, Digesting } from './digesting.ts'

const PIECE_BYTES = 1 << 20
const SHA256_BYTES = 32

/** Digests of pages of one size under one salt. */
export interface PageDigester {
  /** Where pages are put to be digested: whole ones, about 1 MiB. */
  readonly piece: Buffer
  /** One digest for each page in the first `length` bytes of the piece; valid until the next call. */
  digest(length: number): Uint8Array
}

export function pageDigester(
  { algorithm, salt }: { readonly algorithm: DigestAlgorithm; readonly salt: Uint8Array },
  pageSize: number,
): PageDigester {
  return algorithm === 'nh128' ? new PageHasher(salt, pageSize) : new Sha256Digester(salt, pageSize)
}

export function digestBytes({ algorithm }: Pick<Digesting, 'algorithm'>): number {
  return algorithm === 'nh128' ? PAGE_DIGEST_BYTES : SHA256_BYTES
}

/** SHA-256 of salt and page: of chains that an older Salvor began. */
class Sha256Digester implements PageDigester {
  readonly piece: Buffer
  readonly #salted: Buffer
  readonly #salt_bytes: number
  readonly #digests: Buffer
  readonly #page_size: number

  constructor(salt: Uint8Array, pageSize: number) {
    const pages = Math.max(1, Math.floor(PIECE_BYTES / pageSize))
    this.piece = Buffer.alloc(pages * pageSize)
    this.#page_size = pageSize
    this.#salt_bytes = salt.length
    this.#salted = Buffer.alloc(salt.length + pageSize)
    this.#salted.set(salt)
    this.#digests = Buffer.alloc(pages * SHA256_BYTES)
  }

  /** As text, since a small buffer for each page costs half as much as its digest. */
  digest(length: number): Uint8Array {
    const count = length / this.#page_size
    for (let n = 0; n < count; n += 1) {
      this.#salted.set(this.piece.subarray(n * this.#page_size, (n + 1) * this.#page_size), this.#salt_bytes)
      this.#digests.write(hash('sha256', this.#salted, 'binary'), n * SHA256_BYTES, 'latin1')
    }
    return this.#digests.subarray(0, count * SHA256_BYTES)
  }
}
