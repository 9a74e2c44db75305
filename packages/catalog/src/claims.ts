import type { Kysely } from 'kysely'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'

export async function recordClaim(scope: Scope, source: string, store: string): Promise<void> {
  await scope.db
    .insertInto('claims')
    .values({ source, store, claimed_at: scope.now })
    .onConflict((conflict) => conflict.columns(['source', 'store']).doNothing())
    .execute()
}

export async function hasClaim(db: Kysely<Tables>, source: string, store: string): Promise<boolean> {
  const claim = db.selectFrom('claims').select('source').where('source', '=', source).where('store', '=', store)
  return (await claim.executeTakeFirst()) !== undefined
}
