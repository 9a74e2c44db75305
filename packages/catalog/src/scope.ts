import type { AuditInput, Cause, Holder } from '@salvor/shared/ports/catalog'
import type { Ids } from '@salvor/shared/ports/clock'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Transaction } from 'kysely'
import type { Tables } from './tables.ts'

/** One open write transaction: what its writes have in common. */
export interface Scope {
  readonly db: Transaction<Tables>
  readonly now: Instant
  readonly cause: Cause
  readonly ids: Ids
  readonly rowLocks: boolean
  /** False: dead; null: on another host, so nobody here can know. */
  readonly holderAlive: (holder: Holder) => boolean | null
  /** Appended last, so that the head of the chain is locked for the shortest time. */
  readonly audits: AuditInput[]
  /** False from the moment in which its work has ended: nothing may be written then. */
  open: boolean
  /** The first write that failed. The transaction can't commit any more, even if the caller goes on. */
  failure: { readonly error: unknown } | null
}
