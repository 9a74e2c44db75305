/** What the parent asks of a child process that opens databases. Bytes of a database never cross, only facts. */
export type Request =
  | { readonly task: 'probe'; readonly path: string; readonly lock_wait_ms: number }
  | {
      readonly task: 'hold'
      readonly path: string
      /** Where the fallback routes may put a copy. */
      readonly copy: string
      readonly lock_wait_ms: number
      readonly write_lock_ms: number
      readonly attempts: number
      readonly deadline_ms: number
      /** How long the write lock may be kept until a follower of Salvor's own has moved its snapshot on; 0: there is none. */
      readonly follower_ms: number
    }
  /** Ends by itself only when the process does: it follows what `FollowerMessage`s name. */
  | { readonly task: 'followers'; readonly write_lock_ms: number }
  | { readonly task: 'settle'; readonly path: string }
  | { readonly task: 'claim'; readonly path: string }
  | { readonly task: 'examine'; readonly path: string }
  | {
      readonly task: 'export'
      readonly path: string
      /** Where the files come. */
      readonly folder: string
      readonly format: 'sql' | 'csv'
      /** Null: all. */
      readonly tables: readonly string[] | null
    }

export type RequestOf<T extends Request['task']> = Extract<Request, { task: T }>

/** One database whose log is followed, of the several of a process. */
export interface FollowRequest {
  readonly path: string
  /** Frames may be moved while writers are kept out: not on a machine where that took too long. */
  readonly may_move: boolean
  readonly lock_wait_ms: number
  /** How long a `reset` looks for a moment in which nobody has the write lock. */
  readonly reset_wait_ms: number
}

export interface FollowerMessage {
  /** A number of the parent's choice, which comes back with every report. */
  readonly follower: number
  /** A request is the first message of a number, the command `release` the last. */
  readonly say: FollowRequest | Command
}

export interface FollowerReport {
  readonly follower: number
  readonly said: Report
}

/** The next step of a `hold`, a follower or an `examine`. */
export type Command =
  | { readonly command: 'copy' | 'count' | 'share' | 'free' | 'release' }
  | { readonly command: 'advance' }
  /** `urgent`: the log is about to outgrow its bound, so that moving its frames goes before the writers. */
  | { readonly command: 'reset'; readonly urgent: boolean }
  /** The log is followed from now on, beside the state that is frozen, until `thaw` ends that. */
  | { readonly command: 'follow' | 'thaw' }
  /** Everything up to the last `advanced` was read; `hold`: the log is kept from being reset until the next one. */
  | { readonly command: 'read'; readonly hold: boolean }
  | { readonly command: 'integrity' | 'foreign_keys' }
  | { readonly command: 'check'; readonly sql: string }

export interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
}

export interface DatabaseFacts {
  readonly sqlite_version: string
  readonly journal_mode: string
  readonly page_size: number
  readonly page_count: number
  readonly data_version: number
  readonly auto_vacuum: number
  readonly user_version: number
  readonly application_id: number
}

export interface WrittenFile {
  readonly file: string
  readonly what: string
  readonly rows: number | null
}

/** A moment on the machine's monotonic clock, which all processes share: the parent turns it into wall time. */
export type Ticks = bigint

export type Report =
  | { readonly report: 'probed'; readonly facts: DatabaseFacts; readonly size: number; readonly file: FileIdentity }
  /** The main file holds the whole state and does not change until the release. */
  | {
      readonly report: 'frozen'
      readonly facts: DatabaseFacts
      readonly file: FileIdentity
      readonly at: Ticks
      readonly lock_ms: number
      readonly attempts: number
    }
  /** No such moment was found; a read transaction is open, from which `copy` can be asked for. */
  | {
      readonly report: 'pinned'
      readonly facts: DatabaseFacts
      readonly file: FileIdentity
      readonly at: Ticks
      readonly lock_ms: number
      readonly attempts: number
    }
  /** Rollback journal: nothing is held; `share` and `free` can be asked for, in turns. */
  | {
      readonly report: 'journaled'
      readonly facts: DatabaseFacts
      readonly file: FileIdentity
      readonly at: Ticks
    }
  /** Frames in the log, and how many of them lie in the main file. */
  | { readonly report: 'counted'; readonly log: number; readonly checkpointed: number }
  /** A whole copy of the snapshot lies at `copy`. */
  | { readonly report: 'copied' }
  /** A shared lock is held: no commit until it is freed. */
  | { readonly report: 'shared'; readonly facts: DatabaseFacts; readonly at: Ticks }
  | { readonly report: 'freed'; readonly lock_ms: number }
  | { readonly report: 'released'; readonly lock_ms: number }
  /** A WAL database is open; `advance`, `read` and `reset` can be asked for. */
  | { readonly report: 'following'; readonly file: FileIdentity; readonly page_size: number }
  /**
   * A snapshot is held, and the one before it still is. `log`: frames of the write-ahead log that are in the snapshot, `checkpointed` of
   * them in the main file. `changed`: somebody committed since the last one, or reset the log.
   */
  | {
      readonly report: 'advanced'
      readonly at: Ticks
      readonly changed: boolean
      readonly log: number
      readonly checkpointed: number
    }
  /** Whether all frames are in the main file and nothing of ours keeps the log from being reset by the next writer. */
  | { readonly report: 'moved'; readonly whole: boolean; readonly holds_ms: readonly number[] }
  | { readonly report: 'settled' }
  | { readonly report: 'claimed' }
  /** The copy is open: questions are answered from now on. */
  | { readonly report: 'opened' }
  | { readonly report: 'examined'; readonly ok: boolean; readonly detail: string; readonly missing: string | null }
  | { readonly report: 'exported'; readonly files: readonly WrittenFile[] }
  /** `code`: of SQLite or of the system. `text` is SQLite's, for the tasks whose text holds no rows. */
  | { readonly report: 'failed'; readonly code: string; readonly text: string }
  /** The write lock was held for too long, so the process ends itself now. */
  | { readonly report: 'overran' }

export type ReportOf<R extends Report['report']> = Extract<Report, { report: R }>

/** From the worker thread to the main thread of the child only: the write lock was taken, or given back. */
export interface LockNote {
  readonly locked: boolean
  /** Nothing that is done meanwhile waits for the disk, and the process is not to be had again. */
  readonly patient?: boolean
  /** Whose it is, where there are several. */
  readonly follower?: number
}

/** An error with a code of SQLite's kind, for what is found before SQLite is asked. */
export function coded(code: string, text: string): Error {
  return Object.assign(new Error(text), { code })
}
