import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { auditHash } from './audit-hash.ts'
import type { Scope } from './scope.ts'
import type { AuditTable, Tables } from './tables.ts'
import { pagesOf, plain } from './values.ts'

const PAGE = 1000

/** Begins the chain of a new catalog. */
export async function beginAudit(db: Kysely<Tables>): Promise<void> {
  const genesis = randomBytes(32).toString('hex')
  await db
    .insertInto('audit_head')
    .values({ one: 1, n: 0, hash: genesis, genesis })
    .onConflict((conflict) => conflict.column('one').doNothing())
    .execute()
}

/** Writes the scope's entries to the end of the chain. Its head is held until commit: one writer at a time. */
export async function appendAudit(scope: Scope): Promise<void> {
  const head = scope.db.selectFrom('audit_head').select(['n', 'hash'])
  let { n, hash } = await head.$if(scope.rowLocks, (query) => query.forUpdate()).executeTakeFirstOrThrow()
  const rows: AuditTable[] = []
  for (const entry of scope.audits) {
    const row = {
      n: (n += 1),
      at: scope.now,
      service: scope.cause.service,
      actor: plain(entry.actor),
      action: plain(entry.action),
      object: plain(entry.object),
      outcome: plain(entry.outcome),
      correlation_id: scope.cause.correlation_id ?? null,
    }
    hash = auditHash(hash, row)
    rows.push({ ...row, hash })
  }
  for (const page of pagesOf(rows, PAGE)) await scope.db.insertInto('audit').values(page).execute()
  await scope.db.updateTable('audit_head').set({ n, hash }).execute()
}

/**
 * Number of the first row that was changed, removed, added or moved, or null. The rows up to the present head are read
 * in pages; later ones come in meanwhile and are not looked at. Whoever can rewrite the whole chain is found only by a
 * hash kept elsewhere.
 */
export async function verifyAudit(db: Kysely<Tables>): Promise<number | null> {
  const head = await db.selectFrom('audit_head').selectAll().executeTakeFirstOrThrow()
  let hash = head.genesis
  for (let last = 0; last < head.n;) {
    const rows = await pageAfter(db, last, head.n)
    for (const row of rows) {
      if (row.n !== last + 1) return last + 1
      hash = auditHash(hash, row)
      if (row.hash !== hash) return row.n
      last = row.n
    }
    if (rows.length === 0) return last + 1
  }
  if (hash !== head.hash) return head.n
  return firstOutside(db)
}

function pageAfter(db: Kysely<Tables>, last: number, end: number): Promise<AuditTable[]> {
  return db
    .selectFrom('audit')
    .selectAll()
    .where('n', '>', last)
    .where('n', '<=', end)
    .orderBy('n')
    .limit(PAGE)
    .execute()
}

/** A row that no append has written: before the first, or after the head. */
async function firstOutside(db: Kysely<Tables>): Promise<number | null> {
  const { rows } = await sql<{ n: number | null }>`
    select min(n) as n from audit where n < 1 or n > (select n from audit_head)`.execute(db)
  return rows[0]?.n ?? null
}
