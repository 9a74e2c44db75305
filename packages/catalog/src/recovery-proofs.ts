import type { RecoveryProof } from '@salvor/shared/vocabulary/verification'
import { sql, type Kysely, type Selectable } from 'kysely'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { plain } from './values.ts'

export async function recordRecoveryProof(scope: Scope, { ok, detail, ...rest }: RecoveryProof): Promise<void> {
  await scope.db
    .insertInto('recovery_proofs')
    .values({ ...rest, ok: ok ? 1 : 0, detail: plain(detail) })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}

/** By source; where the newest did not come back it follows the newest that did. */
export async function recoveryProofs(db: Kysely<Tables>): Promise<readonly RecoveryProof[]> {
  const { rows } = await sql<Selectable<Tables['recovery_proofs']>>`
    select id, source, backup_id, target_at, ok, recovered_to, lsn, timeline, detail, started_at, duration_ms from (
      select recovery_proofs.*, row_number() over (partition by source, ok order by started_at desc, id desc) as nth,
        row_number() over (partition by source order by started_at desc, id desc) as nth_of_all
      from recovery_proofs) as newest
    where nth = 1 and (ok = 1 or nth_of_all = 1) order by source, started_at`.execute(db)
  return rows.map(({ ok, ...row }) => ({ ...row, ok: ok === 1 }))
}
