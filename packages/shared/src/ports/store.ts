import type { z } from 'zod'
import type { Instant } from '../vocabulary/instant.ts'

/** A path inside a store, `<source>/<name>`: made by the repository's layout, never by a user. `assertObjectKey` guards it. */
export type ObjectKey = string

export interface StoredObject {
  readonly key: ObjectKey
  readonly size: number
  /** SHA-256 of the whole object, hex, where the store keeps it or could be made to prove it; null where it cannot say. */
  readonly sha256: string | null
}

export interface StoreCapabilities {
  /** Data leave this machine's disks: plain artifacts are refused unless the source says `encryption: none`. */
  readonly remote: boolean
  readonly objectLock: boolean
  /** `replace` works: only where a readable index is kept for people. */
  readonly replace: boolean
}

export interface StoreSpace {
  readonly used_bytes: number | null
  readonly free_bytes: number | null
}

/** What an attempt that broke off left in a store: bytes that no object holds and no list shows. */
export interface Unfinished {
  /** The object that it was to become; null where the store does not know. */
  readonly key: ObjectKey | null
  /** The store's own name for it. */
  readonly id: string
  /** Milliseconds since it was begun, or last written, by the store's own clock. */
  readonly age_ms: number
}

/** An upload in progress. Calls are made one after another, never two at once. */
export interface ObjectWriter {
  /**
   * Takes the next bytes, which may be changed by the caller as soon as it resolves. Resolves when there is room for
   * more. Bytes that an earlier attempt had already brought over (see `resume`) are hashed and compared, not sent again.
   */
  write(chunk: Uint8Array): Promise<void>
  /** Says where another attempt could go on: changes as parts become durable; null while there is nothing to resume. */
  readonly resumeToken: string | null
  /**
   * Resolves only after the bytes are durable, the store has echoed their checksum and the reading identity saw size and
   * digest: the digest given is the one seen, and whoever sent the bytes compares it with theirs. Other bytes under the key: STORE_CONFLICT, nothing overwritten. The same bytes: no-op, success.
   * `sent`: SHA-256 of all bytes that were given, where `hashed` was promised. A store that compared every byte that it read back with what it was given may give that one.
   */
  finish(sent?: string): Promise<StoredObject>
  /** Leaves no readable object. `keepParts` leaves what `resumeToken` needs. Never throws. */
  abort(options?: { readonly keepParts?: boolean }): Promise<void>
}

/**
 * Immutable objects at one place. Every method may be retried; errors are SalvorErrors of the STORE_ group, where
 * `retryable` is what a repetition of the same call can hope for. Hanging connections end with an error by themselves.
 */
export interface Store {
  readonly name: string
  readonly kind: string
  readonly capabilities: StoreCapabilities
  /**
   * Begins a write-once object. `resume`: a token of an attempt that broke off, with the same bytes from the start. `size`: if known, for part sizes.
   * `hashed`: the caller hashes what it gives, and tells `finish`.
   */
  create(
    key: ObjectKey,
    options: { readonly resume?: string | null; readonly size?: number | null; readonly hashed?: true },
    signal: AbortSignal,
  ): Promise<ObjectWriter>
  /** By the reading identity. Missing object: null. */
  head(key: ObjectKey, signal: AbortSignal): Promise<StoredObject | null>
  /** Streams `length` bytes from `offset` (default: all). Missing: STORE_NOT_FOUND. A body shorter than promised is an error, never an end. */
  read(
    key: ObjectKey,
    range: { readonly offset: number; readonly length: number } | null,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>
  /** Ascending by key; sees every write that finished before the call. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject>
  /** Milliseconds since the object was written, by the store's own clock. Missing object: null. */
  age(key: ObjectKey, signal: AbortSignal): Promise<number | null>
  /**
   * Uploads that were begun and not finished, of living attempts too, as far as the store can tell; none that it drops by
   * itself. By the deleting identity, like `drop`.
   */
  unfinished(signal: AbortSignal): AsyncIterable<Unfinished>
  /** Frees what an unfinished upload holds; never an object. Gone already: no-op. */
  drop(upload: Unfinished, signal: AbortSignal): Promise<void>
  /** For the janitor only. Missing object: no-op. */
  delete(key: ObjectKey, signal: AbortSignal): Promise<void>
  /** Atomically replaces a small object (capability `replace`; else STORE_DENIED). */
  replace(key: ObjectKey, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Until when the object cannot be deleted, read back from the store; null: not locked. (capability `objectLock`; else null) */
  lockedUntil(key: ObjectKey, signal: AbortSignal): Promise<Instant | null>
  space(signal: AbortSignal): Promise<StoreSpace>
  /** A path on this machine's disk from which the object can be read at random; null for remote stores. */
  localPath(key: ObjectKey): string | null
  close(): Promise<void>
}

/** What `packages/store-<kind>/src/index.ts` exports as `adapter`. */
export interface StoreAdapter<C = unknown> {
  readonly kind: string
  /** Keys of a store of this kind, besides `kind`. Secrets come as `x` or `x_file` and are resolved before. */
  readonly schema: z.ZodType<C>
  /** Names of keys that are secrets: each may also be given as `<name>_file`. */
  readonly secrets: readonly string[]
  open(name: string, config: C): Store
}
