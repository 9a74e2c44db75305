import type { RecoveryWal } from './engine.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { Lsn } from '../vocabulary/lsn.ts'
import type { WalGap, WalPiece, WalPosition } from '../vocabulary/wal.ts'
import type { SalvorError } from '../errors/salvor-error.ts'

/** Up to where everything is stored, of which cluster. */
export interface WalResume extends WalPosition {
  readonly system_id: string
}

export interface WalStreamRequest {
  /** A folder of this stream alone; what lies there is taken up again. */
  readonly spool_dir: string
  /** Null: nothing is stored yet. */
  readonly resume: WalResume | null
}

/** WAL that the server no longer has and no store holds. */
export type LostWal = Omit<WalGap, 'source' | 'detected_at'>

/** How a stream is doing. Positions only grow within a timeline. */
export interface WalProgress {
  readonly system_id: string
  readonly timeline: number
  /** Where this stretch without a hole began. */
  readonly start_lsn: Lsn
  readonly received_lsn: Lsn
  readonly stored_lsn: Lsn
  /** Where the server's WAL ended when it was last heard. */
  readonly server_lsn: Lsn
  /** Of the server's clock: nothing was written after `stored_lsn` until then. Null: it is not known, or more was written. */
  readonly current_at: Instant | null
  readonly spool_bytes: number
  /** The spool has no room: nothing is taken from the server until there is. */
  readonly full: boolean
  /** What keeps pieces from being stored; null: nothing. */
  readonly trouble: SalvorError | null
}

/** Where a stream puts what it receives. */
export interface WalSink {
  /** Resolves when the piece is durable in a store and in the catalog: only then is it acknowledged to the server. */
  store(
    piece: WalPiece,
    content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>
  /** Resolves when it is in the catalog. */
  lost(gap: LostWal): Promise<void>
  /** Called at least every few seconds. */
  progress(progress: WalProgress): void
}

/** The continuous WAL of a source. */
export interface WalSource {
  /**
   * Streams until the signal aborts or something fails; never resolves by itself. Retryable errors: call it again.
   * WAL_NOT_STREAMED: a person has to change something first.
   */
  stream(request: WalStreamRequest, sink: WalSink, signal: AbortSignal): Promise<never>
  /** What a segment file that archive_command hands over is. SOURCE_DAMAGED for one that is no WAL of this name. */
  describe(name: string, file: string): Promise<WalPiece>
  /** Writes the pieces of one segment (or one history file) into a new file, durable when it resolves. */
  assemble(pieces: readonly RecoveryWal[], file: string): Promise<void>
}
