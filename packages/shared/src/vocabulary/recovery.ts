import type { Instant } from './instant.ts'
import type { Lsn } from './lsn.ts'

/** Where a recovery is to end. `latest`: at the end of the stored WAL. */
export type RecoveryTarget =
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly at: Instant }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  | { readonly kind: 'name'; readonly name: string }

/** For people: `2025-11-27T14:02:59.000000Z`, `the WAL position 0/3000060`. */
export function shownTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'the latest stored WAL'
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
