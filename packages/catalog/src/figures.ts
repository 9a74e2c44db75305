import type { CatalogFigures } from '@salvor/shared/ports/catalog-figures'
import type { CopyState } from '@salvor/shared/vocabulary/backup'
import { sql, type Kysely } from 'kysely'
import type { Database } from './database.ts'
import type { Tables } from './tables.ts'

type Db = Kysely<Tables>

/** Sums and newest rows on one state: a handful of grouped selects, whatever the number of rows that come back. */
export async function figures(database: Database): Promise<CatalogFigures> {
  // Not inside: the embedded catalog reads on one connection.
  const at = await database.now()
  return database.snapshot(async (db) => {
    const [points, verified, last, copies, runs, undelivered, incidents] = [
      await recoveryPoints(db),
      await lastVerified(db),
      await lastBackups(db),
      await copiesByState(db),
      await runsByState(db),
      await waitingEvents(db),
      await db
        .selectFrom('incidents')
        .select(({ fn }) => fn.countAll().as('open'))
        .where('resolved_at', 'is', null)
        .executeTakeFirstOrThrow(),
    ]
    return { at, points, verified, last, copies, runs, undelivered, open_incidents: Number(incidents.open) }
  })
}

async function recoveryPoints(db: Db): Promise<CatalogFigures['points']> {
  const { rows } = await sql<CatalogFigures['points'][number]>`
    select source, max(case when state <> 'corrupt' then consistent_at end) as completed,
      max(case when state in ('verified', 'proven') then consistent_at end) as verified,
      max(case when state = 'proven' then consistent_at end) as proven
    from backups group by source order by source`.execute(db)
  return rows
}

async function lastVerified(db: Db): Promise<CatalogFigures['verified']> {
  const { rows } = await sql<CatalogFigures['verified'][number]>`
    select backups.source as source, verifications.level as level, max(verifications.started_at) as at
    from verifications join backups on backups.id = verifications.backup_id
    where verifications.ok = 1 group by backups.source, verifications.level order by 1, 2`.execute(db)
  return rows
}

async function lastBackups(db: Db): Promise<CatalogFigures['last']> {
  const { rows } = await sql<CatalogFigures['last'][number]>`
    select source, type, size_bytes, source_bytes, duration_ms from (
      select backups.source, backups.type, artifacts.size_bytes, backups.source_bytes, backups.duration_ms,
        row_number() over (partition by backups.source, backups.type order by backups."timestamp" desc, backups.id desc) as nth
      from backups join artifacts on artifacts.backup_id = backups.id and artifacts.role = 'artifact') as newest
    where nth = 1 order by source, type`.execute(db)
  return rows
}

/** PostgreSQL gives a sum as text: it may be larger than its summands' type. */
async function copiesByState(db: Db): Promise<CatalogFigures['copies']> {
  const { rows } = await sql<{ store: string; state: CopyState; count: number; bytes: number | string }>`
    select copies.store, copies.state, count(*) as count, coalesce(sum(artifacts.size_bytes), 0) as bytes
    from copies left join artifacts on artifacts.backup_id = copies.backup_id and artifacts.role = 'artifact'
    group by copies.store, copies.state order by 1, 2`.execute(db)
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }))
}

async function runsByState(db: Db): Promise<CatalogFigures['runs']> {
  const { rows } = await sql<CatalogFigures['runs'][number]>`
    select job, state, count(*) as count from runs where state in ('queued', 'running', 'dead')
    group by job, state order by 1, 2`.execute(db)
  return rows
}

async function waitingEvents(db: Db): Promise<CatalogFigures['undelivered']> {
  const { rows } = await sql<CatalogFigures['undelivered'][number]>`
    select inbox.service as service, count(*) as count, min(outbox."time") as oldest
    from inbox join outbox on outbox.id = inbox.event_id
    where inbox.handled_at is null and inbox.dead_at is null group by inbox.service order by 1`.execute(db)
  return rows
}
