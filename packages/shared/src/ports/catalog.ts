import type { Backup, BackupWithCopies, Copy, CopyState } from '../vocabulary/backup.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { Failure, Run, RunProgress, RunState } from '../vocabulary/run.ts'
import type { TickKind } from '../vocabulary/source.ts'
import type { ServiceName } from '../vocabulary/service.ts'
import type { RecoveryProof, Verification } from '../vocabulary/verification.ts'
import type { ChangeSetFile, ChangeSetNames, ChangeStreamState, StoredChangeSet } from '../vocabulary/change-set.ts'
import type { StoredWal, WalFile, WalGap, WalKind, WalPosition, WalStreamState } from '../vocabulary/wal.ts'
import type { CatalogFigures } from './catalog-figures.ts'
import type { EventType, NewEvent, SalvorEvent } from '../messages/events.ts'
import type { JobName, JobParams } from '../messages/jobs.ts'

/** Who holds a lease. A dead holder on the same host and boot is replaced at once. */
export interface Holder {
  readonly service: string
  readonly host: string
  readonly boot_id: string
  readonly pid: number
  /** Start time of the process as the kernel counts it: a reused pid is not the same holder. */
  readonly start_time: string
}

export interface Lease {
  readonly name: string
  readonly holder: Holder
  /** Grows with every new holder: the fencing token. */
  readonly token: number
  readonly until: Instant
}

export interface SourceRow {
  readonly name: string
  readonly engine: string
  readonly pool: string | null
  readonly config_hash: string
  readonly state: 'active' | 'retired'
  readonly registered_at: Instant
}

export interface ScheduleRow {
  readonly id: string
  readonly source: string
  readonly kind: TickKind
  readonly cron: string
  readonly timezone: string
  /** The next tick, by the catalog's clock. */
  readonly due_at: Instant
}

export interface NewRun<J extends JobName = JobName> {
  readonly job: J
  readonly params: JobParams<J>
  readonly source?: string | null
  readonly pool?: string | null
  readonly config_hash?: string | null
  readonly not_before?: Instant
  /** At most one run with this key ever; asking again gives the one that is there. */
  readonly unique_key?: string
  /** Default: the cause at hand (event or run), else the run's own id. */
  readonly correlation_id?: string
}

/** How an attempt ended. */
export type RunEnd =
  | { readonly kind: 'succeeded'; readonly result?: unknown }
  /** Again later; a failed attempt counts, and the last one makes the run dead. */
  | { readonly kind: 'retry'; readonly error: Failure; readonly not_before: Instant; readonly dead: boolean }
  /** Again later, nothing went wrong (source busy, next tick). With a result, the turn's work was done: failures start at 0. */
  | { readonly kind: 'again'; readonly not_before: Instant; readonly result?: unknown }
  | { readonly kind: 'failed'; readonly error: Failure }

export interface BackupFilter {
  readonly source?: string
  readonly limit?: number
}

export interface RunFilter {
  readonly states?: readonly RunState[]
  readonly jobs?: readonly JobName[]
  readonly source?: string
  readonly correlation_id?: string
  readonly limit?: number
}

/** A message or run that waits for a person. */
export interface DeadLetter {
  readonly kind: 'run' | 'event'
  /** Run id, or `<event id>/<service>`. */
  readonly id: string
  readonly what: string
  readonly service: ServiceName
  readonly failures: number
  readonly error: Failure | null
  readonly since: Instant
}

export interface IncidentRow {
  readonly key: string
  readonly source: string | null
  readonly opened_at: Instant
  readonly resolved_at: Instant | null
  readonly title: string
}

export interface AuditInput {
  readonly actor: string
  readonly action: string
  readonly object: string
  readonly outcome: string
}

/** Cause of what a transaction writes: copied into the runs and events it creates. */
export interface Cause {
  readonly service: ServiceName | 'cli'
  readonly correlation_id?: string
  readonly causation_id?: string
}

/**
 * Writes of one transaction: all or none; one that failed keeps the transaction from committing, even when its error was
 * caught. Nothing outside the catalog may be awaited inside.
 */
export interface CatalogTransaction {
  readonly now: Instant
  /** Inserts or updates; says what changed. A retired source that comes back is `new` again. */
  registerSource(source: Omit<SourceRow, 'state' | 'registered_at'>): Promise<'new' | 'changed' | 'same'>
  /** Marks every other active source retired and drops its schedules; gives their names. */
  retireSourcesExcept(names: readonly string[]): Promise<readonly string[]>
  /** Sets the schedules of a source; one whose cron and timezone are unchanged keeps its `due_at`. */
  setSchedules(source: string, schedules: readonly Omit<ScheduleRow, 'id' | 'source'>[]): Promise<void>
  /** Moves a schedule on from `from`; false when another process had done so. */
  advanceSchedule(id: string, from: Instant, to: Instant): Promise<boolean>

  enqueue<J extends JobName>(run: NewRun<J>): Promise<Run>
  /** Ends the attempt. LEASE_LOST (and so rollback of everything) when it is no longer the present one. */
  endRun(runId: string, attempt: number, end: RunEnd): Promise<void>
  /** Publishes: an outbox row and an inbox row for each subscriber. */
  publish<T extends EventType>(event: NewEvent<T>): Promise<SalvorEvent<T>>
  /** True once per event and service: the caller's effect belongs into this transaction. */
  acknowledge(eventId: string, service: ServiceName): Promise<boolean>

  recordBackup(backup: Backup): Promise<void>
  /** Inserts or replaces the copy (key: backup and store). The backup's state follows its copies. */
  recordCopy(copy: Copy): Promise<void>
  /** Records what was found and moves the copy's state: up by a good one, to corrupt by a bad one (a pending copy stays pending). */
  recordVerification(verification: Verification): Promise<void>
  /** Kept for ever, as verifications are. The same again changes nothing. */
  recordRecoveryProof(proof: RecoveryProof): Promise<void>
  /** True if it was not open. */
  openIncident(key: string, source: string | null, title: string): Promise<boolean>
  /** True if it was open. */
  resolveIncident(key: string): Promise<boolean>
  /** Appends to the hash chain. */
  audit(entry: AuditInput): Promise<void>
  recordClaim(source: string, store: string): Promise<void>

  /** A piece of WAL that a store has. The same again changes nothing. */
  recordWal(piece: WalFile, store: string): Promise<void>
  /** Of pieces that were deleted from a store. */
  forgetWal(source: string, store: string, names: readonly string[]): Promise<void>
  /** WAL that is lost. One that begins where a known one does replaces its end. */
  recordWalGap(gap: Omit<WalGap, 'detected_at'>): Promise<void>
  /** Replaces what the source's stream said before. */
  recordWalStream(state: Omit<WalStreamState, 'at'>): Promise<void>

  /** A change set that a store has. The same again changes nothing. */
  recordChangeSet(set: ChangeSetFile, store: string): Promise<void>
  /** They are to be deleted from a store: nobody is given them any more, but who asks for the leaving ones. `leaving` false: they stay. */
  leaveChangeSets(sets: ChangeSetNames, leaving: boolean): Promise<void>
  /** Of sets that were deleted from a store, or are not there as they should. */
  forgetChangeSets(sets: ChangeSetNames): Promise<void>
  /** Replaces what the source's change stream said before. */
  recordChangeStream(state: Omit<ChangeStreamState, 'at'>): Promise<void>
}

export interface WalFilter {
  readonly source: string
  readonly kinds?: readonly WalKind[]
  readonly name?: string
  readonly store?: string
  readonly system_id?: string
}

export interface ChangeSetFilter {
  readonly source: string
  readonly name?: string
  readonly store?: string
  /** Of their `to_at`: not before it. */
  readonly since?: Instant
  /** Of their `to_at`: before it. */
  readonly until?: Instant
  /** Only those that are on their way out. Default: only the others. */
  readonly leaving?: boolean
}

/**
 * The only truth. Embedded (SQLite: WAL, synchronous=FULL) or PostgreSQL, one behaviour. Rows are plain objects with the
 * manifest's snake_case names; times are Instants by the catalog's own clock. CATALOG_UNREACHABLE and CATALOG_FULL are retryable.
 */
export interface Catalog {
  /** Made with the catalog; names this installation. */
  readonly id: string
  /** Grows when a catalog is rebuilt. */
  readonly epoch: number
  now(): Promise<Instant>
  /** Commits when `work` resolves. `work` may run once more, when another transaction was in its way; never one inside another. */
  transaction<T>(cause: Cause, work: (tx: CatalogTransaction) => Promise<T>): Promise<T>

  sources(): Promise<readonly SourceRow[]>
  dueSchedules(limit: number): Promise<readonly ScheduleRow[]>
  schedules(): Promise<readonly ScheduleRow[]>

  backups(filter: BackupFilter): Promise<readonly BackupWithCopies[]>
  /** By id, unique prefix of an id, or file name. None: BACKUP_UNKNOWN; several: BACKUP_AMBIGUOUS. */
  backup(reference: string): Promise<BackupWithCopies>
  /** The backup and what it stands on, the full first. BACKUP_UNKNOWN also when a parent is missing. */
  chain(backupId: string): Promise<readonly BackupWithCopies[]>
  copiesInState(state: CopyState, limit: number): Promise<readonly Copy[]>
  /** Keeps a store's resume token of a pending copy. */
  saveUpload(backupId: string, store: string, upload: string | null): Promise<void>
  verifications(backupId: string): Promise<readonly Verification[]>
  /** The newest that came back of each source, and the newest that did not where it is newer. */
  recoveryProofs(): Promise<readonly RecoveryProof[]>
  hasClaim(source: string, store: string): Promise<boolean>

  /** Pieces of WAL, by timeline and position, page after page: a month may have a hundred thousand. */
  wal(filter: WalFilter): AsyncIterable<StoredWal>
  /**
   * Where the stored WAL of a source ends on its newest timeline. Segments are stored side by side: behind a hole that is no recorded
   * gap nothing counts, since a stream that broke off has still to bring what is missing. Null: there is none.
   */
  walEnd(source: string): Promise<(WalPosition & { readonly system_id: string }) | null>
  walGaps(source: string): Promise<readonly WalGap[]>
  /** What each stream said last. */
  walStreams(): Promise<readonly WalStreamState[]>

  /** Change sets by the instant that they bring, page after page: a day of every second has 86,400. */
  changeSets(filter: ChangeSetFilter): AsyncIterable<StoredChangeSet>
  /** The one that brings the newest instant. */
  lastChangeSet(source: string): Promise<StoredChangeSet | null>
  /** What each change stream said last. */
  changeStreams(): Promise<readonly ChangeStreamState[]>

  run(id: string): Promise<Run | null>
  runs(filter: RunFilter): Promise<readonly Run[]>
  /** Makes the run this holder's for `leaseMs`: attempt + 1. Null when it is not queued, not due, or taken. */
  claimRun(id: string, holder: Holder, leaseMs: number): Promise<Run | null>
  /** False: the attempt is not the present one any more; stop. */
  renewRun(id: string, attempt: number, leaseMs: number, progress: RunProgress | null): Promise<boolean>
  /** Queued and due runs of these jobs (and pools; null = runs without one), oldest first. */
  dueRuns(filter: {
    readonly jobs: readonly JobName[]
    readonly pools: readonly (string | null)[]
    readonly correlation_id?: string
    readonly limit: number
  }): Promise<readonly string[]>
  /** Queued runs whose present turn was not put into the queue yet, with when they are due. */
  unsentRuns(
    jobs: readonly JobName[],
    limit: number,
  ): Promise<readonly { id: string; job: JobName; pool: string | null; turn: number; not_before: Instant }[]>
  markRunsSent(turns: readonly { id: string; turn: number }[]): Promise<void>
  /** Running without a live lease → queued again (counted as a failure; one that has used up its job's failures is buried by whoever claims it next); queued, sent, due and not taken for `staleMs` → unsent. Gives how many. */
  reconcile(staleMs: number): Promise<{ readonly requeued: number; readonly resent: number }>

  /**
   * Removes at most `limit` events that every listener handled, and `limit` runs that ended (not dead ones), older than
   * `keptMs`. A run stays as long as the event that planned it: its unique key keeps the event from being planned twice.
   */
  prune(keptMs: number, limit: number): Promise<{ readonly events: number; readonly runs: number }>

  event(id: string): Promise<SalvorEvent | null>
  /** Outbox rows of this service not sent yet. A full select every time, never a cursor: commits may become visible out of order. */
  unsentEvents(service: ServiceName | 'cli' | 'any', limit: number): Promise<readonly { id: string; type: EventType }[]>
  markEventsSent(ids: readonly string[]): Promise<void>
  /** Inbox rows of a service that are due and not handled, oldest first. */
  undelivered(
    service: ServiceName,
    filter: { readonly correlation_id?: string; readonly olderThanMs?: number; readonly limit: number },
  ): Promise<readonly string[]>
  /** A handler failed: try again at `not_before`, or dead. Gives the failures so far. */
  failDelivery(eventId: string, service: ServiceName, error: Failure, notBefore: Instant | null): Promise<number>

  deadLetters(): Promise<readonly DeadLetter[]>
  /** Queues a dead run or event again. False when there is none of that id. */
  replay(id: string): Promise<boolean>

  acquireLease(name: string, holder: Holder, ttlMs: number): Promise<Lease | null>
  renewLease(lease: Lease, ttlMs: number): Promise<boolean>
  releaseLease(lease: Lease): Promise<void>
  /** Live leases whose name begins so. */
  leases(prefix: string): Promise<readonly Lease[]>
  /** For metrics: cheap enough to be asked every few seconds. */
  figures(): Promise<CatalogFigures>
  openIncidents(): Promise<readonly IncidentRow[]>
  /** Checks the hash chain; the number of the first bad row, or null. */
  verifyAudit(): Promise<number | null>
  close(): Promise<void>
}
