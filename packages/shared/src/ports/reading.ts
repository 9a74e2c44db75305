import type { ArtifactFrames } from './artifact.ts'
import type { Increment, RestoreParts, SnapshotFacts } from './engine.ts'

/** A state as it lies in the stores: a full, and what changed since. */
export interface StoredState {
  readonly full: ArtifactFrames
  /** Oldest first; the state is the last one's. */
  readonly increments: readonly ArtifactFrames[]
  /** What is laid over that in turn, the newest first: each is read whole and once, while the state is opened. */
  readonly changes?: readonly Increment[]
}

export type SqlValue = null | number | bigint | string | Uint8Array

/** What a query gives, in order: for each statement that has rows its columns, then the rows in batches. */
export type QueryPart = { readonly columns: readonly string[] } | { readonly rows: readonly (readonly SqlValue[])[] }

/** A stored state that answers SQL. Nothing of it is written anywhere, and nothing in it can be changed. */
export interface StateReader extends AsyncDisposable {
  /**
   * Runs the statements of `sql` in order; ending the loop early ends the query. One at a time. QUERY_REFUSED for what does more than read,
   * QUERY_FAILED with what the engine says, ARTIFACT_CORRUPT and those of the STORE_ group for bytes that cannot be had.
   */
  query(sql: string, signal: AbortSignal): AsyncGenerator<QueryPart, void, undefined>
}

/** What a statement gave, values as the server writes them. */
export interface RestoredAnswer {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/** Something in a backup, for people. */
export interface BackupEntry {
  /** `DATABASE`, `TABLE`, … */
  readonly kind: string
  readonly name: string
  readonly detail: string
  /** Of a database: its number in the cluster, and how much it held. */
  readonly oid?: string
  readonly bytes?: number | null
  /** It comes with every restore. */
  readonly always?: boolean
}

export const EXPORT_FORMATS = ['sql', 'csv'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

export interface ExportedFile {
  /** Relative path. Names in it are for people: `tables` of the folder's index says what each file is. */
  readonly file: string
  readonly what: string
  /** Of one table; null: the file is more than rows. */
  readonly rows: number | null
}

export interface ExportRequest {
  /** What `restore` brought into a private place. It is changed by the export, and of no use afterwards. */
  readonly restored: string
  /** A new, private folder that takes the files. */
  readonly folder: string
  /** sql: statements that make everything anew. csv: a file for each table, with a header. */
  readonly format: ExportFormat
  readonly parts?: RestoreParts | undefined
  readonly engine_facts: SnapshotFacts['engine_facts']
}
