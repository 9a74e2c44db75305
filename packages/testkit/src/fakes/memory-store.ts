import { createHash } from 'node:crypto'
import type { ErrorCode } from '@salvor/shared/errors/codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type {
  ObjectWriter,
  Store,
  StoreCapabilities,
  StoredObject,
  StoreSpace,
  Unfinished,
} from '@salvor/shared/ports/store'
import { assertKeyPrefix, assertObjectKey } from '@salvor/shared/vocabulary/object-key'
import type { Instant } from '@salvor/shared/vocabulary/instant'

export interface MemoryStoreOptions {
  readonly name?: string
  readonly capabilities?: Partial<StoreCapabilities>
  /** Size of the chunks that `read` gives. */
  readonly chunkBytes?: number
  /** Bytes after which a part of an upload becomes durable. */
  readonly partBytes?: number
  /** How old an object or an unfinished upload is said to be. */
  readonly ageMs?: (keyOrId: string) => number
  /** Called before each operation, with its key or prefix: throw to make it fail, wait to make it slow. */
  readonly before?: (operation: MemoryOperation, key: string) => void | Promise<void>
}
export type MemoryOperation =
  | 'create'
  | 'write'
  | 'finish'
  | 'head'
  | 'read'
  | 'list'
  | 'delete'
  | 'replace'
  | 'age'
  | 'unfinished'
  | 'drop'

/** A store in memory that passes the store contract, with hooks for tests. */
export class MemoryStore implements Store {
  readonly name: string
  readonly kind = 'memory'
  readonly capabilities: StoreCapabilities
  readonly #objects = new Map<string, Buffer>()
  readonly #uploads = new Map<string, Parts>()
  readonly #locks = new Map<string, Instant>()
  readonly #options: MemoryStoreOptions
  #nextUpload = 1

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options
    this.name = options.name ?? 'memory'
    this.capabilities = { remote: false, objectLock: false, replace: true, ...options.capabilities }
  }

  /** Keys of all readable objects, ascending. */
  keys(): string[] {
    return [...this.#objects.keys()].sort()
  }
  /** A copy of an object's bytes. */
  bytes(key: string): Buffer {
    const found = this.#objects.get(key)
    if (!found) throw this.#error('STORE_NOT_FOUND', { key })
    return Buffer.from(found)
  }
  /** Puts bytes under a key, or takes the object away: what no adapter would do. */
  plant(key: string, bytes: Uint8Array | null): void {
    if (bytes) this.#objects.set(key, Buffer.from(bytes))
    else this.#objects.delete(key)
  }
  /** Flips one bit. */
  flip(key: string, offset: number, bit = 0): void {
    const bytes = this.bytes(key)
    bytes[offset]! ^= 1 << bit
    this.plant(key, bytes)
  }
  lock(key: string, until: Instant): void {
    this.#locks.set(key, until)
  }

  async create(
    key: string,
    options: { readonly resume?: string | null; readonly size?: number | null },
    signal: AbortSignal,
  ): Promise<ObjectWriter> {
    await this.#enter('create', key, signal)
    const token = options.resume && this.#uploads.has(options.resume) ? options.resume : `upload-${this.#nextUpload++}`
    const enter = (operation: MemoryOperation) => this.#enter(operation, key, signal)
    const upload = { key, token, uploads: this.#uploads, objects: this.#objects, enter }
    return new MemoryWriter(upload, this.#options.partBytes ?? 65_536, () => this.#error('STORE_CONFLICT', { key }))
  }

  async head(key: string, signal: AbortSignal): Promise<StoredObject | null> {
    await this.#enter('head', key, signal)
    const bytes = this.#objects.get(key)
    return bytes ? storedObject(key, bytes) : null
  }

  async *read(
    key: string,
    range: { readonly offset: number; readonly length: number } | null,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    await this.#enter('read', key, signal)
    const bytes = this.bytes(key)
    const { offset, length } = range ?? { offset: 0, length: bytes.length }
    const cut = { key, wanted: String(offset + length), found: String(bytes.length) }
    if (offset + length > bytes.length) throw this.#error('STORE_TRUNCATED', cut)
    const step = this.#options.chunkBytes ?? 65_536
    for (let at = offset; at < offset + length; at += step) {
      assertGoingOn(signal)
      yield bytes.subarray(at, Math.min(at + step, offset + length))
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    await this.#enter('list', prefix, signal)
    for (const key of this.keys()) {
      const bytes = this.#objects.get(key)
      if (bytes && key.startsWith(prefix)) yield storedObject(key, bytes)
    }
  }

  async age(key: string, signal: AbortSignal): Promise<number | null> {
    await this.#enter('age', key, signal)
    return this.#objects.has(key) ? (this.#options.ageMs?.(key) ?? 0) : null
  }

  async *unfinished(signal: AbortSignal): AsyncGenerator<Unfinished> {
    await this.#enter('unfinished', '', signal)
    for (const [id, { key }] of this.#uploads) yield { key, id, age_ms: this.#options.ageMs?.(id) ?? 0 }
  }

  async drop({ id, key }: Unfinished, signal: AbortSignal): Promise<void> {
    await this.#enter('drop', key ?? '', signal)
    this.#uploads.delete(id)
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#enter('delete', key, signal)
    if (this.#locks.has(key)) throw this.#error('STORE_DENIED', { what: `delete ${key}`, reason: 'it is locked' })
    this.#objects.delete(key)
  }

  async replace(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#enter('replace', key, signal)
    if (!this.capabilities.replace) throw this.#error('STORE_DENIED', { what: `replace ${key}`, reason: 'write-once' })
    this.#objects.set(key, Buffer.from(bytes))
  }

  async lockedUntil(key: string, signal: AbortSignal): Promise<Instant | null> {
    assertObjectKey(key)
    assertGoingOn(signal)
    return this.#locks.get(key) ?? null
  }

  async space(signal: AbortSignal): Promise<StoreSpace> {
    assertGoingOn(signal)
    return { used_bytes: [...this.#objects.values()].reduce((sum, { length }) => sum + length, 0), free_bytes: null }
  }

  localPath(key: string): string | null {
    assertObjectKey(key)
    return null
  }
  async close(): Promise<void> {}

  async #enter(operation: MemoryOperation, key: string, signal: AbortSignal): Promise<void> {
    if (operation === 'list') assertKeyPrefix(key)
    else if (key !== '' || (operation !== 'unfinished' && operation !== 'drop')) assertObjectKey(key)
    assertGoingOn(signal)
    await this.#options.before?.(operation, key)
    assertGoingOn(signal)
  }
  #error(code: ErrorCode, facts: Record<string, string>) {
    return new SalvorError(code, { store: this.name, ...facts })
  }
}

/** The first `length` bytes of `chunks` are durable. */
interface Parts {
  readonly key: string
  readonly chunks: readonly Buffer[]
  readonly length: number
}

function assertGoingOn(signal: AbortSignal): void {
  if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
}

interface Upload {
  readonly key: string
  readonly token: string
  /** Durable parts by token. */
  readonly uploads: Map<string, Parts>
  readonly objects: Map<string, Buffer>
  enter(operation: MemoryOperation): Promise<void>
}

class MemoryWriter implements ObjectWriter {
  readonly #upload: Upload
  readonly #partBytes: number
  readonly #conflict: () => SalvorError
  /** What an earlier attempt brought over. */
  readonly #resumed: Buffer
  #chunks: Buffer[] = []
  #length = 0
  #ended = false

  constructor(upload: Upload, partBytes: number, conflict: () => SalvorError) {
    this.#upload = upload
    this.#partBytes = partBytes
    this.#conflict = conflict
    const parts = upload.uploads.get(upload.token)
    this.#resumed = parts ? Buffer.concat(parts.chunks).subarray(0, parts.length) : Buffer.alloc(0)
  }

  get resumeToken(): string | null {
    return this.#upload.uploads.has(this.#upload.token) ? this.#upload.token : null
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#upload.enter('write')
    const known = this.#resumed.subarray(this.#length, this.#length + chunk.length)
    if (!known.equals(chunk.subarray(0, known.length))) throw this.#conflict()
    this.#chunks.push(Buffer.from(chunk))
    this.#length += chunk.length
    const length = this.#length - (this.#length % this.#partBytes)
    if (length > Math.max(this.#resumed.length, this.#upload.uploads.get(this.#upload.token)?.length ?? 0))
      this.#upload.uploads.set(this.#upload.token, { key: this.#upload.key, chunks: this.#chunks, length })
  }

  async finish(): Promise<StoredObject> {
    await this.#upload.enter('finish')
    const { key, objects, uploads, token } = this.#upload
    const bytes = Buffer.concat(this.#chunks)
    const there = objects.get(key)
    if (there && !there.equals(bytes)) throw this.#conflict()
    if (!this.#ended) objects.set(key, bytes)
    this.#ended = true
    uploads.delete(token)
    return storedObject(key, bytes)
  }

  async abort(options?: { readonly keepParts?: boolean }): Promise<void> {
    this.#ended = true
    this.#chunks = []
    if (!options?.keepParts) this.#upload.uploads.delete(this.#upload.token)
  }
}

function storedObject(key: string, bytes: Buffer): StoredObject {
  return { key, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}
