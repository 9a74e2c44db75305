import type { DigestAlgorithm } from './digesting.ts'

/** What a hashing thread is started with. */
export interface HashWork {
  /** An open file of this process; it stays open until the thread has ended. */
  readonly fd: number
  readonly page_size: number
  readonly algorithm: DigestAlgorithm
  readonly salt: Uint8Array
  /** Ranges of the file that count as zeros. */
  readonly zeros: readonly { readonly offset: number; readonly length: number }[]
}

/** Whole pages. */
export interface HashRange {
  readonly offset: number
  readonly length: number
}

export interface HashReply {
  /** One digest for each page of the range. */
  readonly digests: Uint8Array
  /** A code of the system, or SHORT: the file ended early. */
  readonly failure: string | null
}
