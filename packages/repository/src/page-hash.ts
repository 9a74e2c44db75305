import { createCipheriv } from 'node:crypto'
import { PAGE_HASH_MODULE } from './page-hash-module.ts'

/** Bytes of the digest of one page. */
export const PAGE_DIGEST_BYTES = 16
/** What a key is made of. */
export const PAGE_SALT_BYTES = 16
export const SMALLEST_PAGE = 512
export const LARGEST_PAGE = 65_536

const SHIFTS_BYTES = 64
const FOLD_KEYS_BYTES = 4 * 9 * 8
/** Room of a key in the memory, whatever the size of pages. */
export const PAGE_KEY_ROOM: number = LARGEST_PAGE + SHIFTS_BYTES + FOLD_KEYS_BYTES
const MEMORY_PAGE = 65_536

interface Memory {
  readonly buffer: SharedArrayBuffer
}
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => Memory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { pages: { memory: Memory } },
  ) => { readonly exports: { readonly digest: Digest } }
}
type Digest = (this: void, at: number, count: number, size: number, key: number, out: number) => void

/** Memory that threads share and that pages are hashed in: what lies elsewhere must be copied first. */
export type HashMemory = Memory

export function hashMemory(bytes: number): HashMemory {
  const pages = Math.ceil(bytes / MEMORY_PAGE)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}

/** The key of docs/format.md section 15. */
export function pageKey(salt: Uint8Array, pageSize: number): Uint8Array {
  const bytes = pageSize + SHIFTS_BYTES + FOLD_KEYS_BYTES
  return createCipheriv('aes-128-ctr', salt, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

/** Places in the memory. */
export interface PagesToHash {
  readonly at: number
  readonly count: number
  readonly page_size: number
  readonly key: number
  /** Where the digests go, one after another. */
  readonly out: number
}

/**
 * Digests of many pages in one call: a call for each page costs more than its hash. What it gives tells pages apart for whoever does not know
 * the key: two that differ have the same 16 bytes with a probability of 2^-127, the same first 8 with 2^-63. Several threads may work in one memory.
 */
export class PageHash {
  readonly #digest: Digest

  constructor(memory: HashMemory) {
    const module = new WebAssembly.Module(Buffer.from(PAGE_HASH_MODULE, 'base64'))
    this.#digest = new WebAssembly.Instance(module, { pages: { memory } }).exports.digest
  }

  hash({ at, count, page_size, key, out }: PagesToHash): void {
    this.#digest(at, count, page_size, key, out)
  }
}

/** Hashes pages of one size under one key in a memory of its own. */
export class PageHasher {
  /** Where pages are put to be hashed: whole ones, about 1 MiB. */
  readonly piece: Buffer
  readonly #hash: PageHash
  readonly #digests: Uint8Array
  readonly #page_size: number
  readonly #out: number

  constructor(salt: Uint8Array, pageSize: number) {
    const pages = Math.max(1, Math.floor((1 << 20) / pageSize))
    const room = pages * pageSize
    const memory = hashMemory(PAGE_KEY_ROOM + room + pages * PAGE_DIGEST_BYTES)
    new Uint8Array(memory.buffer).set(pageKey(salt, pageSize))
    this.piece = Buffer.from(memory.buffer, PAGE_KEY_ROOM, room)
    this.#out = PAGE_KEY_ROOM + room
    this.#digests = new Uint8Array(memory.buffer, this.#out, pages * PAGE_DIGEST_BYTES)
    this.#page_size = pageSize
    this.#hash = new PageHash(memory)
  }

  /** Digests of the first `length` bytes of the piece; valid until the next call. */
  digest(length: number): Uint8Array {
    const count = length / this.#page_size
    this.#hash.hash({ at: PAGE_KEY_ROOM, count, page_size: this.#page_size, key: 0, out: this.#out })
    return this.#digests.subarray(0, count * PAGE_DIGEST_BYTES)
  }
}
