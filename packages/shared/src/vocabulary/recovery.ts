import type { Instant } from './instant.ts'
import type { Lsn } from './lsn.ts'

/** Where a recovery is to end. `latest`: at the end of the stored WAL. */
export type RecoveryTarget =
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly at: Instant }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  | { readonly kind: 'name'; readonly name: string }

/** Where a server came to a stop that replayed WAL to a target. */
export interface RecoveryReached {
  /** promoted: a server of its own on a new timeline · paused: it would go on · consistent: a backup as it was, nothing more. */
  readonly state: 'promoted' | 'paused' | 'consistent'
  /** In the server's words, such as `before commit of transaction 741, time …`; null: at the end of the WAL. */
  readonly stopped: string | null
  /** When the last transaction that came back was committed; null: none was replayed, or it paused and does not say. */
  readonly last_commit_at: Instant | null
  /** Of the transaction with which it stopped, where the target was one. */
  readonly xid: string | null
  /** Of the last record that was read. */
  readonly lsn: Lsn | null
  /** On which the server is now. */
  readonly timeline: number
  readonly duration_ms: number
}

/** For people: `2025-11-27T14:02:59.000000Z`, `the WAL position 0/3000060`. */
export function shownTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'the newest state that is stored'
    case 'time':
      return target.at
    case 'lsn':
      return `the WAL position ${target.lsn}`
    case 'xid':
      return `the transaction ${target.xid}`
    default:
      return `the restore point ${JSON.stringify(target.name)}`
  }
}
