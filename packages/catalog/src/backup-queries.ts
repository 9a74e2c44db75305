import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { BackupFilter } from '@salvor/shared/ports/catalog'
import type { BackupWithCopies, Copy, CopyState } from '@salvor/shared/vocabulary/backup'
import type { Verification, VerificationLevel } from '@salvor/shared/vocabulary/verification'
import type { Kysely } from 'kysely'
import { copyOf, selectBackups, withCopies } from './backup-rows.ts'
import type { Database } from './database.ts'
import type { Tables } from './tables.ts'
import { afterPrefix, fromJson } from './values.ts'

const SHORTEST_PREFIX = 4

/** Newest first, with their copies: two queries on one state, however many backups there are. */
export function findBackups(database: Database, { source, limit }: BackupFilter): Promise<readonly BackupWithCopies[]> {
  return database.snapshot(async (db) => {
    const rows = await selectBackups(db)
      .$if(source !== undefined, (query) => query.where('backups.source', '=', source!))
      .$if(limit !== undefined, (query) => query.limit(limit!))
      .orderBy('backups.timestamp', 'desc')
      .orderBy('backups.id', 'desc')
      .execute()
    const wanted = db
      .selectFrom('backups')
      .select('id')
      .$if(source !== undefined, (query) => query.where('source', '=', source!))
      .$if(limit !== undefined, (query) => query.orderBy('timestamp', 'desc').orderBy('id', 'desc').limit(limit!))
    const all = source === undefined && limit === undefined
    const copies = await db
      .selectFrom('copies')
      .selectAll()
      .$if(!all, (query) => query.where('backup_id', 'in', wanted))
      .orderBy('backup_id')
      .orderBy('store')
      .execute()
    return withCopies(rows, copies)
  })
}

/** An id wins over everything else; a prefix has 4 characters at least; `source/filename` tells equal names apart. */
export function findBackup(database: Database, reference: string): Promise<BackupWithCopies> {
  return database.snapshot(async (db) => {
    const ids = await idsOf(db, reference)
    if (ids.length === 0) throw new SalvorError('BACKUP_UNKNOWN', { backup: reference })
    if (ids.length > 1) {
      throw new SalvorError('BACKUP_AMBIGUOUS', { backup: reference, count: String(ids.length) })
    }
    const rows = await selectBackups(db).where('backups.id', '=', ids[0]!).execute()
    const copies = await db.selectFrom('copies').selectAll().where('backup_id', '=', ids[0]!).orderBy('store').execute()
    return withCopies(rows, copies)[0]!
  })
}

/** From a backup down to its full, in one state of the catalog; a chain that bites its own tail ends as unknown. */
export function findChain(database: Database, backupId: string): Promise<readonly BackupWithCopies[]> {
  return database.snapshot(async (db) => {
    const chain: BackupWithCopies[] = []
    for (let id: string | null = backupId; id !== null; id = chain[0]!.parent) {
      const seen = chain.some((backup) => backup.id === id)
      const rows = seen ? [] : await selectBackups(db).where('backups.id', '=', id).execute()
      if (rows.length === 0) throw new SalvorError('BACKUP_UNKNOWN', { backup: id })
      const copies = await db.selectFrom('copies').selectAll().where('backup_id', '=', id).orderBy('store').execute()
      chain.unshift(...withCopies(rows, copies))
    }
    return chain
  })
}

async function idsOf(db: Kysely<Tables>, reference: string): Promise<readonly string[]> {
  const id = reference.toLowerCase()
  const slash = reference.lastIndexOf('/')
  const rows = await db
    .selectFrom('backups')
    .select('id')
    .where((where) =>
      where.or([
        ...(id.length >= SHORTEST_PREFIX
          ? [where.and([where('id', '>=', id), where('id', '<', afterPrefix(id))])]
          : []),
        where('filename', '=', reference),
        where.and([
          where('source', '=', reference.slice(0, Math.max(slash, 0))),
          where('filename', '=', reference.slice(slash + 1)),
        ]),
      ]),
    )
    .execute()
  const ids = rows.map((row) => row.id)
  return ids.includes(id) ? [id] : ids
}

export async function copiesInState(db: Kysely<Tables>, state: CopyState, limit: number): Promise<readonly Copy[]> {
  const rows = await db
    .selectFrom('copies')
    .selectAll()
    .where('state', '=', state)
    .orderBy('backup_id')
    .orderBy('store')
    .limit(limit)
    .execute()
  return rows.map(copyOf)
}

/** Oldest first. */
export async function verificationsOf(db: Kysely<Tables>, backupId: string): Promise<readonly Verification[]> {
  const rows = await db
    .selectFrom('verifications')
    .selectAll()
    .where('backup_id', '=', backupId)
    .orderBy('started_at')
    .orderBy('id')
    .execute()
  return rows.map((row) => ({
    ...row,
    level: row.level as VerificationLevel,
    ok: row.ok === 1,
    checks: fromJson(row.checks) as Verification['checks'],
  }))
}
