import type { Holder, Lease } from '@salvor/shared/ports/catalog'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { Database } from './database.ts'
import { holderOf, holderText } from './run-rows.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { afterPrefix } from './values.ts'

/** A row stays when its lease is given back, so that the token never starts again. */
export async function acquireLease(scope: Scope, name: string, holder: Holder, ttlMs: number): Promise<Lease | null> {
  const mine = { holder: holderText(holder), until: shifted(scope.now, ttlMs) }
  const made = await scope.db
    .insertInto('leases')
    .values({ name, token: 1, ...mine })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (made) return leaseOf(made)
  const present = await scope.db
    .selectFrom('leases')
    .selectAll()
    .where('name', '=', name)
    .$if(scope.rowLocks, (query) => query.forUpdate())
    .executeTakeFirstOrThrow()
  if (present.until > scope.now && scope.holderAlive(holderOf(present.holder)) !== false) return null
  const token = present.token + 1
  await scope.db
    .updateTable('leases')
    .set({ token, ...mine })
    .where('name', '=', name)
    .execute()
  return leaseOf({ name, token, ...mine })
}

/** A lease that ran out unnoticed may still be renewed: nobody took it. */
export async function renewLease(scope: Scope, lease: Lease, ttlMs: number): Promise<boolean> {
  return setUntil(scope, lease, shifted(scope.now, ttlMs))
}

export async function releaseLease(scope: Scope, lease: Lease): Promise<void> {
  await setUntil(scope, lease, GIVEN_BACK)
}

/** Before every instant, so the lease is free, and can't be renewed by a timer that comes late. */
const GIVEN_BACK = ''

async function setUntil({ db }: Scope, { name, token }: Lease, until: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('leases')
    .set({ until })
    .where('name', '=', name)
    .where('token', '=', token)
    .where('until', '<>', GIVEN_BACK)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function liveLeases({ dialect, reads, holderAlive }: Database, prefix: string): Promise<readonly Lease[]> {
  const rows = await reads
    .selectFrom('leases')
    .selectAll()
    .where('name', '>=', prefix)
    .where('name', '<', afterPrefix(prefix))
    .where('until', '>', dialect.clock)
    .orderBy('name')
    .execute()
  return rows.map(leaseOf).filter((lease) => holderAlive(lease.holder) !== false)
}

function leaseOf({ name, holder, token, until }: Tables['leases']): Lease {
  return { name, holder: holderOf(holder), token, until }
}
