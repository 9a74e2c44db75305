import type { ChangeMethod, ChangePiece } from '../vocabulary/change-set.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { SalvorError } from '../errors/salvor-error.ts'
import type { ParentBackup } from './engine.ts'

/** The newest set that is stored. */
export interface ChangeResume {
  readonly base: string
  readonly to_at: Instant
  readonly position: string | null
}

export interface ChangeStreamRequest {
  /** A folder of this stream alone; what lies there is worth nothing. */
  readonly spool_dir: string
  /** Milliseconds between two sets while something is committed. */
  readonly every_ms: number
  /** Null: nothing is stored yet. */
  readonly resume: ChangeResume | null
}

/** How a stream is doing. */
export interface ChangeProgress {
  readonly method: ChangeMethod
  /** Everything committed until then is in the sink; null: not known. */
  readonly covered_until: Instant | null
  /** Bytes of the write-ahead log. */
  readonly log_bytes: number
  /** What keeps sets from being stored; null: nothing. */
  readonly trouble: SalvorError | null
}

/** Where a stream puts what it finds. Sets come one after another. */
export interface ChangeSink {
  /** The newest backup that pages can be compared with, its digests in a file until the next call. Null: there is none yet. */
  base(): Promise<ParentBackup | null>
  /** Resolves when the set is durable in a store and in the catalog: only then does it count. A chunk of content is valid until the next is asked for. */
  store(
    piece: Omit<ChangePiece, 'previous'>,
    content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void>
  /** No line can begin on the newest base: resolves when another backup was asked for. */
  fullNeeded(reason: string): Promise<void>
  /** Called at least every few seconds. */
  progress(progress: ChangeProgress): void
}

/** Change sets that followed each other, as one. Room is freed when it is disposed. */
export interface CompactedPages extends AsyncDisposable {
  readonly page_size: number
  /** Of the database in the state that they bring. */
  readonly page_count: number
  readonly pages: number
  /** The plain bytes, from the beginning each time it is called. */
  content(): Iterable<Uint8Array>
}

/** The continuous changes of a source whose engine tells pages. */
export interface ChangeSource {
  /** Follows until the signal aborts or something fails; never resolves by itself. Retryable errors: call it again. */
  stream(request: ChangeStreamRequest, sink: ChangeSink, signal: AbortSignal): Promise<never>
}
