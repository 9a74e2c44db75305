import type { ChangeSetFilter } from '@salvor/shared/ports/catalog'
import type {
  ChangeSetFile,
  ChangeSetNames,
  ChangeStreamState,
  StoredChangeSet,
} from '@salvor/shared/vocabulary/change-set'
import type { ExpressionBuilder, Kysely } from 'kysely'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { fromJson, pagesOf, plain } from './values.ts'

type Db = Kysely<Tables>

/** Rows read at a time. */
const PAGE = 2000
const NAMES_AT_ONCE = 200

export async function recordChangeSet(scope: Scope, set: ChangeSetFile, store: string): Promise<void> {
  await scope.db
    .insertInto('change_sets')
    .values({ ...set, lost: set.lost === null ? null : plain(set.lost), store, leaving_at: null })
    .onConflict((conflict) => conflict.columns(['source', 'store', 'base', 'name']).doNothing())
    .execute()
}

/** Of sets in one store that are to be deleted there, or stay there after all. */
export async function leaveChangeSets(
  scope: Scope,
  { source, store, names }: ChangeSetNames,
  leaving: boolean,
): Promise<void> {
  for (const some of pagesOf(names, NAMES_AT_ONCE)) {
    const rows = scope.db.updateTable('change_sets').set({ leaving_at: leaving ? scope.now : null })
    await rows
      .where(named(source, store, some))
      .where('leaving_at', leaving ? 'is' : 'is not', null)
      .execute()
  }
}

export async function forgetChangeSets(scope: Scope, { source, store, names }: ChangeSetNames): Promise<void> {
  for (const some of pagesOf(names, NAMES_AT_ONCE))
    await scope.db
      .deleteFrom('change_sets')
      .where(named(source, store, some))
      .execute()
}

function named(source: string, store: string, names: ChangeSetNames['names']) {
  return (where: ExpressionBuilder<Tables, 'change_sets'>) => {
    const one = ({ base, name }: ChangeSetNames['names'][number]) =>
      where.and([where('base', '=', base), where('name', '=', name)])
    return where.and([where('source', '=', source), where('store', '=', store), where.or(names.map(one))])
  }
}

export async function recordChangeStream(
  scope: Scope,
  { source, ...state }: Omit<ChangeStreamState, 'at'>,
): Promise<void> {
  const row = { state: plain(JSON.stringify(state)), at: scope.now }
  await scope.db
    .insertInto('change_streams')
    .values({ source, ...row })
    .onConflict((conflict) => conflict.column('source').doUpdateSet(row))
    .execute()
}

export async function* findChangeSets(db: Db, filter: ChangeSetFilter): AsyncGenerator<StoredChangeSet> {
  let last: StoredChangeSet | null = null
  for (;;) {
    const rows: StoredChangeSet[] = await page(db, filter, last)
    yield* rows
    last = rows.at(-1) ?? null
    if (rows.length < PAGE || last === null) return
  }
}

/** The rows behind `last`, by instant, name, store and base. */
function page(db: Db, filter: ChangeSetFilter, last: StoredChangeSet | null) {
  const { source, name, store, since, until, leaving = false } = filter
  let query = db.selectFrom('change_sets').selectAll().where('source', '=', source)
  query = query.where('leaving_at', leaving ? 'is not' : 'is', null)
  if (since !== undefined) query = query.where('to_at', '>=', since)
  if (until !== undefined) query = query.where('to_at', '<', until)
  if (name !== undefined) query = query.where('name', '=', name)
  if (store !== undefined) query = query.where('store', '=', store)
  if (last !== null) {
    const { to_at, name: behind, store: place, base } = last
    query = query.where((where) =>
      where(where.refTuple('to_at', 'name', 'store', 'base'), '>', where.tuple(to_at, behind, place, base)),
    )
  }
  return query.orderBy('to_at').orderBy('name').orderBy('store').orderBy('base').limit(PAGE).execute()
}

export async function lastChangeSet(db: Db, source: string): Promise<StoredChangeSet | null> {
  const query = db.selectFrom('change_sets').selectAll().where('source', '=', source).where('leaving_at', 'is', null)
  return (await query.orderBy('to_at', 'desc').orderBy('stored_at', 'desc').limit(1).executeTakeFirst()) ?? null
}

export async function changeStreams(db: Db): Promise<readonly ChangeStreamState[]> {
  const rows = await db.selectFrom('change_streams').selectAll().orderBy('source').execute()
  return rows.map(({ source, state, at }) => ({
    source,
    ...(fromJson(state) as Omit<ChangeStreamState, 'source' | 'at'>),
    at,
  }))
}
