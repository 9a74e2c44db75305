import type { z } from 'zod'
import type { Instant } from '../vocabulary/instant.ts'
import type { Lsn } from '../vocabulary/lsn.ts'
import type { RecoveryReached, RecoveryTarget } from '../vocabulary/recovery.ts'
import type { Check } from '../vocabulary/verification.ts'
import type { RunProgress } from '../vocabulary/run.ts'
import type { AlikeBytes, ArtifactContent, SnapshotSink } from './artifact.ts'
import type { FoundFiles } from './files.ts'
import type { Log } from './log.ts'
import type { ChangeSource, CompactedPages } from './changes.ts'
import type { BackupEntry, ExportedFile, ExportRequest, RestoredAnswer, StateReader, StoredState } from './reading.ts'
import type { WalSource } from './wal.ts'

/** What a source is, seen without changing it. */
export interface SourceProbe {
  /** The engine's version as it says it. */
  readonly version: string
  /** A name for people: the file, or host/database; never a password. */
  readonly source_db: string
  /** Bytes to expect, null if unknown. */
  readonly size_bytes: number | null
  /** Things worth telling that do not stop a backup. */
  readonly notices: readonly string[]
  /** Its log would not be streamed now: why, and what to do. Absent: it would, or it has none. */
  readonly not_streamed?: { readonly reason: string; readonly fix: string }
}

export interface SnapshotFacts {
  readonly source_db: string
  /** The instant whose committed state the snapshot holds. */
  readonly consistent_at: Instant
  /** Facts of the engine that a restore or a person wants; go into the manifest as `engine_facts`. No secrets. */
  readonly engine_facts: Readonly<Record<string, string | number | boolean | null>>
  readonly notices: readonly string[]
  /**
   * A file in `scratch_dir` with what the next incremental needs to know of this state (page digests, the server's own
   * manifest), in the engine's own form of docs/format.md; absent or null: this backup cannot be a parent.
   */
  readonly digests?: string | null
  /** Where `digests` may be as those of the parent are, ascending in both: only what differs is stored. Absent: nowhere. */
  digests_alike?(this: void): Iterable<AlikeBytes>
}

/** The backup that an incremental is taken against. */
export interface ParentBackup {
  readonly id: string
  readonly consistent_at: Instant
  readonly engine_facts: SnapshotFacts['engine_facts']
  /** A file with the bytes that its snapshot left in `SnapshotFacts.digests`. */
  readonly digests: string
}

/** A link of a chain behind its full, read for the length of `work`; one at a time. */
export interface Increment {
  readonly id: string
  readonly consistent_at: Instant
  readonly engine_facts: SnapshotFacts['engine_facts']
  open<T>(work: (content: ArtifactContent) => Promise<T>): Promise<T>
}

/** A piece of WAL that a recovery will replay. */
export interface RecoveryWal {
  readonly name: string
  /** Where its bytes begin; null for a history file. */
  readonly start_lsn: Lsn | null
  readonly segment_size: number | null
  /** Plain bytes; what they are is known to be true only when the last one came. */
  open(): AsyncIterable<Uint8Array>
}

/** What the server is to do when it starts from what was restored. */
export interface RecoveryRequest {
  readonly target: RecoveryTarget
  readonly timeline: number
  /** At the target: stop and let a person look, instead of going on as a server of its own. */
  readonly pause: boolean
  /** The instant whose state comes back. */
  readonly recovers_to: Instant
  /** Where the last commit begins that is to be replayed, for a target at which the server itself misses nothing; null: any other. */
  readonly last_commit_lsn: Lsn | null
  readonly wal: readonly RecoveryWal[]
}

/** A chain behind its full, to be put together in the repository. */
export interface MergeRequest {
  /** Oldest first; at least one. */
  readonly increments: readonly Increment[]
  /** Brings what the last one left in `SnapshotFacts.digests` into a file of the scratch folder. Once. */
  digests(): Promise<string>
}

/** Takes bytes in order; they may be changed once it resolves. */
export type ByteSink = (chunk: Uint8Array) => Promise<void>

/** What the engine knows of a full that it put together: facts and digests of the last incremental, as those of a full. */
export type MergedFacts = Required<Pick<SnapshotFacts, 'engine_facts' | 'digests'>>

export interface RestoreRequest {
  /** A new place: file (SQLite), folder (PostgreSQL), or URL of a server (logical backups of it). Checked by `assertTarget` before a byte moves. */
  readonly target: string
  readonly in_place: boolean
  /** PostgreSQL: it is laid over what is there, of the same cluster or of any, and only what differs is written. */
  readonly delta?: 'same' | 'any' | undefined
  /** Incrementals on top of the content, oldest first; absent: none. The state that comes back is the last one's. */
  readonly increments?: readonly Increment[]
  /** Of the content: of the full. */
  readonly engine_facts: SnapshotFacts['engine_facts']
  /** PostgreSQL: WAL to replay on it, and how far. */
  readonly recovery?: RecoveryRequest | undefined
  /** `prove` follows at once: what it looks at need not be looked at here. */
  readonly proof_follows?: true
  /** PostgreSQL: new places of tablespaces by their former ones; `inside`: all in the target itself, for a sandbox. */
  readonly tablespaces?: Readonly<Record<string, string>> | 'inside' | undefined
  /** Logical backups only. */
  readonly parts?: RestoreParts | undefined
}

/** What of a backup is wanted; nothing named: all of it. */
export interface RestoreParts {
  readonly databases?: readonly string[] | undefined
  /** Of the one database that is named. */
  readonly schemas?: readonly string[] | undefined
  /** `schema.table`, or a table of any schema. */
  readonly tables?: readonly string[] | undefined
}

/** A delta restore, for a look at its target. */
export type LaidOver = Pick<RestoreRequest, 'engine_facts'> & { readonly delta: 'same' | 'any' }

export interface RestoreFacts {
  /** The instant whose state came back. */
  readonly recovered_to: Instant
  readonly checks: readonly Check[]
}

export interface EngineContext {
  /** Name of the source, for errors. */
  readonly source: string
  /** A private folder of this run, mode 0700, removed afterwards by the caller. On the disk of sandbox_dir. */
  readonly scratch_dir: string
  readonly log: Log
  readonly now: () => Instant
  /** Reported as bytes pass, from the engine's own knowledge of the total. */
  readonly progress: (progress: RunProgress) => void
  /** Folders where server programs are looked for first (verifier.postgres_bin). */
  readonly server_programs: readonly string[]
  /** The source compresses what it sends, where it can. Absent: it need not. */
  readonly compress_at_source?: boolean
  /** Those of `EngineAdapter.variables` that are set. Absent: none is. */
  readonly environment?: Readonly<Record<string, string>> | undefined
}

/** Something that the administrator of a database does once, so that it can be backed up. */
export interface SetUpStep {
  readonly title: string
  /** Where the lines belong: a program, a file. */
  readonly where: string
  readonly lines: readonly string[]
}

export interface ListRequest extends Pick<RestoreRequest, 'increments' | 'engine_facts'> {
  /** Null: its databases. */
  readonly database: string | null
}

/** One source of an engine. Errors are SalvorErrors of the SOURCE_, RESTORE_ and CANNOT_ groups. */
export interface Engine {
  /** Bad paths, passwords, rights and versions are found here, with a hint; nothing is changed. */
  probe(signal: AbortSignal): Promise<SourceProbe>
  /** What a proof of a backup needs on this machine, in a few words; CANNOT_VERIFY_HERE when it is missing. Absent: nothing. */
  assertProvable?(this: void, signal: AbortSignal): Promise<string>
  /** Pushes one consistent full copy into `sink` while the source is in use. An abort frees every lock at once. */
  snapshot(sink: SnapshotSink, signal: AbortSignal): Promise<SnapshotFacts>
  /**
   * Pushes what changed since `parent`, in the engine's artifact form for incrementals. FULL_NEEDED, at any moment: this parent
   * cannot be built upon, with the reason. Null, with nothing pushed: nothing changed, and `skipUnchanged` was asked for.
   * Absent: the engine takes no incrementals.
   */
  snapshotChanges?(
    parent: ParentBackup,
    sink: SnapshotSink,
    options: { readonly skipUnchanged: boolean },
    signal: AbortSignal,
  ): Promise<SnapshotFacts | null>
  /** The continuous log of the source. Absent: it has none that can be streamed. */
  readonly wal?: WalSource
  /** The pages that change, all the time. Absent: they cannot be followed. */
  readonly changes?: ChangeSource
  /**
   * Puts change sets that followed each other together, the newest first, in the form of one: the source is not touched. ARTIFACT_CORRUPT. Absent:
   * it has none.
   */
  compactChanges?(sets: readonly Increment[], signal: AbortSignal): Promise<CompactedPages>

  /**
   * Pushes the state of the last of `increments` in the artifact form of a full, from the artifacts alone: the source is not touched.
   * A state that is not the one that was taken then: ARTIFACT_CORRUPT. Absent: the engine merges no chains.
   */
  merge?(full: ArtifactContent, request: MergeRequest, sink: SnapshotSink, signal: AbortSignal): Promise<MergedFacts>
  /**
   * Tells the present state from every later one, in milliseconds and without holding the source: the same mark again means that
   * nothing was committed since the snapshot that was taken after the first. Opaque text, at most 100 characters. Null: it cannot
   * be told now. Another mark may mean nothing. Never rejects. Absent: the engine has none.
   */
  stateMark?(): Promise<string | null>
  /** Refuses a target that is not empty, in use, or (in place) not what it takes it for; writes nothing. */
  assertTarget(target: string, inPlace: boolean, laidOver?: LaidOver): Promise<void>
  /** A copy of a stopped target, for the pre_restore backup before a restore in place. */
  offlineSnapshot(target: string, sink: SnapshotSink, signal: AbortSignal): Promise<SnapshotFacts>
  /** Writes into a new place beside the target, checks it, then puts it in place; a failure leaves what was there. */
  restore(content: ArtifactContent, request: RestoreRequest, signal: AbortSignal): Promise<RestoreFacts>
  /**
   * Writes what a restore would make as one stream: the bytes of a file, or a tar of a folder. What turns out to be bad leaves a
   * stream that is cut short. Scratch room is used for what is more than a full.
   */
  restoreStream(
    content: ArtifactContent,
    request: Omit<RestoreRequest, 'target' | 'in_place' | 'tablespaces'>,
    sink: ByteSink,
    signal: AbortSignal,
  ): Promise<RestoreFacts>
  /** What `recover` needs is on this machine; NO_SERVER_HERE. */
  assertRecoverable?(engineFacts: SnapshotFacts['engine_facts']): Promise<void>
  /**
   * Runs a server on what was restored, alone and without a network, until it has replayed all that it was told to, and stops it.
   * RECOVERY_FAILED: it ended before. Absent: a restore leaves nothing to be replayed.
   */
  recover?(
    restored: string,
    recovery: Pick<RecoveryRequest, 'target' | 'pause' | 'last_commit_lsn'> | null,
    signal: AbortSignal,
  ): Promise<RecoveryReached>
  /**
   * Opens a stored state for SQL without restoring it: bytes are fetched and checked as queries ask for them. READING_UNSUPPORTED for a state that the
   * reader cannot tell truly. Absent: states of this engine cannot be looked into where they lie.
   */
  openState?(state: StoredState, signal: AbortSignal): Promise<StateReader>
  /**
   * Opens a restored copy with the real engine, isolated, after the replay that it was restored for, and gives what `sql` gives: for whoever asked,
   * never for a log. The copy is changed by it. QUERY_FAILED, CANNOT_VERIFY_HERE. Absent: `openState` needs no copy.
   */
  askRestored?(
    restored: string,
    sql: string,
    recovery: RecoveryRequest | undefined,
    signal: AbortSignal,
  ): Promise<readonly RestoredAnswer[]>
  /** Opens a restored copy with the real engine, isolated, and runs the engine's own checks and the source's. CANNOT_VERIFY_HERE when a program is missing. */
  prove(
    restored: string,
    checks: readonly string[],
    engineFacts: SnapshotFacts['engine_facts'],
    signal: AbortSignal,
  ): Promise<readonly Check[]>
  /** The databases of a backup, or what is in one of them, without restoring it. NOT_AVAILABLE where the backup does not tell. Absent: none does. */
  list?(content: ArtifactContent, request: ListRequest, signal: AbortSignal): Promise<readonly BackupEntry[]>
  /** Writes a restored copy as files that other programs read. CANNOT_VERIFY_HERE and PROGRAM_MISSING as for a proof. Absent: there is no such way. */
  export?(request: ExportRequest, signal: AbortSignal): Promise<readonly ExportedFile[]>
}

/** What `packages/engine-<kind>/src/index.ts` exports as `adapter`. */
export interface EngineAdapter<C = unknown> {
  readonly kind: string
  /** Keys of a source of this engine, besides those of SourcePolicy. */
  readonly schema: z.ZodType<C>
  readonly secrets: readonly string[]
  /** Ending of the artifact of a full before compression: `db`, `tar`. */
  readonly artifact: string
  /** The same of incrementals: `pages`, `tar`. Absent where there are none. */
  readonly incremental_artifact?: string
  /** It can be followed all the time: its log (`Engine.wal`), or the pages that change (`Engine.changes`). */
  readonly streams?: 'wal' | 'changes'
  /** Backup types this engine can take now. */
  readonly types: readonly ('full' | 'incremental')[]
  /** What a source of this configuration can do less, and how messages call it. Absent or null: nothing less. */
  limits?(this: void, config: C): { readonly types: EngineAdapter['types']; readonly called: string } | null
  /** Its `merge` is there: chains can be put together in the repository. */
  readonly merges?: true
  /** Its snapshots keep nobody at the source waiting: a worker takes them behind its streams, and behind whatever else the machine does. */
  readonly gives_way?: true
  /** Files that a snapshot opens in the process that asks for it: to close one drops every lock that the process holds on it. Absent: none. */
  opensFiles?(this: void, config: C): readonly string[]
  /** Its sources can be asked to compress what they send (`EngineContext.compress_at_source`). */
  readonly compresses_at_source?: true
  /** A restore in place leaves what was there beside the target, under another name, until a person removes it. */
  readonly keeps_former?: true
  /** Variables of the environment that say where a client's own files are. */
  readonly variables?: readonly string[]
  /** What its administrator types once; no secrets. Absent: nothing is needed. */
  setUp?(config: C): readonly SetUpStep[]
  /**
   * The files that absolute paths, folders and globs name, each a source of its own. Rejects with the reason, for people, where a
   * place cannot be looked at. Absent: a source of this engine is one database.
   */
  findFiles?(this: void, paths: readonly string[]): Promise<FoundFiles<C>>
  open(config: C, context: EngineContext): Engine
  /** Opens for `assertTarget`, `offlineSnapshot`, `merge`, `compactChanges`, `restore`, `openState`, `askRestored` and `prove` only, of a source that the configuration no longer names. Absent: `open` with the empty config, if `schema` takes it. */
  openForRestore?(context: EngineContext): Engine
}
