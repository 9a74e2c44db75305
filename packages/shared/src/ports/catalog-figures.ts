import type { BackupType, CopyState } from '../vocabulary/backup.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { RunState } from '../vocabulary/run.ts'
import type { VerificationLevel } from '../vocabulary/verification.ts'

/** What can be counted about everything in the catalog. Instants by the catalog's clock, sizes in bytes. */
export interface CatalogFigures {
  readonly at: Instant
  /** Instants to which the newest backup that is at least so good brings a source back. */
  readonly points: readonly {
    readonly source: string
    readonly completed: Instant | null
    readonly verified: Instant | null
    readonly proven: Instant | null
  }[]
  /** When a copy was last found good. */
  readonly verified: readonly { readonly source: string; readonly level: VerificationLevel; readonly at: Instant }[]
  /** The newest backup of each source and type. */
  readonly last: readonly {
    readonly source: string
    readonly type: BackupType
    readonly size_bytes: number
    readonly source_bytes: number
    readonly duration_ms: number
  }[]
  readonly copies: readonly {
    readonly store: string
    readonly state: CopyState
    readonly count: number
    readonly bytes: number
  }[]
  readonly runs: readonly { readonly job: string; readonly state: RunState; readonly count: number }[]
  /** Events that a service has not handled and that are not dead; `oldest`: when the first of them was published. */
  readonly undelivered: readonly { readonly service: string; readonly count: number; readonly oldest: Instant }[]
  readonly open_incidents: number
}
