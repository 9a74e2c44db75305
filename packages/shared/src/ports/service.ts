import type { EventType, SalvorEvent } from '../messages/events.ts'
import type { JobName, JobRun } from '../messages/jobs.ts'
import type { Failure, RunProgress } from '../vocabulary/run.ts'
import type { ServiceName } from '../vocabulary/service.ts'
import type { CompressionChoice, ScheduledKind } from '../vocabulary/source.ts'
import type { RetentionClass } from '../vocabulary/backup.ts'
import type { VerificationLevel } from '../vocabulary/verification.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { Catalog, CatalogTransaction } from './catalog.ts'
import type { Channel } from './channel.ts'
import type { Clock, Ids } from './clock.ts'
import type { Engine } from './engine.ts'
import type { KeyRing } from './keyring.ts'
import type { Log } from './log.ts'
import type { Store } from './store.ts'
import type { Tasks } from './tasks.ts'

/** A source as the configuration has it, defaults filled in; without secrets. */
export interface SourceSettings {
  readonly name: string
  readonly engine: string
  readonly pool: string | null
  /** Over everything in the configuration that changes what a run would do. */
  readonly config_hash: string
  readonly schedule: Readonly<Partial<Record<ScheduledKind, string>>>
  /** What of it can be followed all the time. */
  readonly streams?: 'wal' | 'changes'
  /** Its log is streamed without a pause. Absent: it is not. */
  readonly wal?: 'stream'
  /** Milliseconds between two change sets. Absent: its changes are not followed. */
  readonly changes?: number
  /** `pitr`: how long every instant comes back. */
  readonly retention: Readonly<Partial<Record<RetentionClass | 'pitr', string>>>
  /** Stores in order; the worker writes to the first that takes the class. */
  readonly copies: readonly { readonly store: string; readonly classes: 'all' | readonly string[] }[]
  readonly checks: readonly string[]
  readonly verify: {
    readonly full: VerificationLevel | 'none'
    readonly incremental: VerificationLevel | 'none'
    readonly replicas: VerificationLevel | 'none'
  }
  /** When a recovery to an instant is proven, by cron. Absent: only with the newest backup. */
  readonly prove_recovery?: string
  readonly encrypt: boolean
  /** `encryption: none` was written: plain artifacts may go to stores that are not local. Absent: they may not. */
  readonly plain_allowed?: boolean
  readonly compression: CompressionChoice
  /** Ending of its artifacts before compression, and what its engine can take now. */
  readonly artifact: string
  /** Of incrementals; absent where the engine takes none. */
  readonly incremental_artifact?: string
  /** Incrementals on one full at most. */
  readonly max_chain: number
  /** What comes then: a full of the source, or the chain merged in the repository. */
  readonly at_max_chain: 'full' | 'merge'
  readonly types: readonly ('full' | 'incremental')[]
  /** Commands around a restore in place: program and arguments. Absent: none. */
  readonly hooks?: {
    readonly before?: readonly string[] | undefined
    readonly after?: readonly string[] | undefined
    readonly timeout_ms: number
  }
  /** A restore in place leaves what was there under another name. */
  readonly keeps_former?: true
}

/** A source of the configuration that names several files with `paths`: each is a source of its own, `<name>/<relative path>`. */
export interface FleetSettings {
  /** How many files there are now. */
  readonly found: number
  /** Why its places could not be looked at; null: they were. */
  readonly unread: string | null
  readonly left_out: readonly { readonly file: string; readonly reason: string }[]
}

export interface Route {
  /** Event types, `backup.*` or `*`; absent: the default set. */
  readonly events: readonly string[] | null
  readonly severity: 'info' | 'warning' | 'error' | 'critical' | null
  readonly to: readonly string[]
}

export interface Settings {
  /** Pools whose sources this process sees, besides the sources without a pool. */
  readonly pools?: readonly string[]
  readonly timezone: string
  readonly data_dir: string
  readonly sources: ReadonlyMap<string, SourceSettings>
  /** By name; absent: none. */
  readonly fleets?: ReadonlyMap<string, FleetSettings>
  readonly stores: ReadonlyMap<string, { readonly name: string; readonly kind: string }>
  readonly routes: readonly Route[]
}

/** Everything a handler may touch. Real adapters in production, fakes that pass the contract suites in tests. */
export interface Deps {
  readonly catalog: Catalog
  /** The present settings: read it anew in each handler, SIGHUP replaces it. */
  settings(): Settings
  store(name: string): Store
  /** For probes only; heavy work goes through `tasks`. `scratch_dir` is made by the caller of engine.snapshot. */
  engine(source: string): Engine
  channel(name: string): Channel
  readonly keyring: KeyRing
  readonly tasks: Tasks
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Log
  /** A lease for the length of a piece of work; null when another holds it. Renewed until disposed. */
  lease(name: string): Promise<WorkLease | null>
}

export interface WorkLease extends AsyncDisposable {
  /** Aborts when another may hold it by now: whoever works under the lease stops. */
  readonly lost: AbortSignal
}

export type Commit = (tx: CatalogTransaction) => Promise<void>

/** What a job handler leaves to be done in the transaction that ends its run. */
export interface JobOutcome {
  readonly commit?: Commit
  readonly result?: unknown
  /** Not done: run again then (source busy, next tick). Does not count as a failure. */
  readonly again?: Instant
}

export interface JobHandler<J extends JobName> {
  /** Reads, decides by a pure function, acts through ports; may be run twice. */
  handle(
    run: JobRun<J>,
    deps: Deps,
    signal: AbortSignal,
    progress: (progress: RunProgress) => void,
  ): Promise<JobOutcome>
  /** What else to write when an attempt failed; `final`: there will be no further one. */
  failed?(run: JobRun<J>, error: Failure, final: boolean, deps: Deps): Commit
}

/** Decides what an event leads to; the returned effect and the inbox row are one transaction. Null: nothing to do. */
export type EventHandler<T extends EventType> = (event: SalvorEvent<T>, deps: Deps) => Promise<Commit | null>

/** What a service folder exports: run alone by main.ts, together by `up`, in-process by a command. */
export interface ServiceDefinition {
  readonly name: ServiceName
  readonly jobs: { readonly [J in JobName]?: JobHandler<J> }
  readonly subscriptions: { readonly [T in EventType]?: EventHandler<T> }
  /** Called once when the service starts and after each reload, before jobs are taken. */
  start?(deps: Deps): Promise<void>
  /** Work that never ends, in every process that takes the job `beside`. */
  readonly duty?: {
    readonly beside: JobName
    /** Resolves when the signal aborts; what fails in it is its own to repeat. */
    run(this: void, deps: Deps, signal: AbortSignal): Promise<void>
  }
  /** Adds HTTP routes to the service's health server (scheduler: API, console, Bull Board). A FastifyInstance, typed where it is used. */
  readonly http?: (server: unknown, deps: Deps) => Promise<void>
}
