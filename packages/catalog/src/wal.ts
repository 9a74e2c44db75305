import type { WalFilter } from '@salvor/shared/ports/catalog'
import { lsnKey, lsnOfKey, lsnValue, type Lsn } from '@salvor/shared/vocabulary/lsn'
import type {
  RestorePoint,
  StoredWal,
  WalFile,
  WalGap,
  WalPosition,
  WalStreamState,
} from '@salvor/shared/vocabulary/wal'
import type { Kysely, Selectable } from 'kysely'
import type { Scope } from './scope.ts'
import type { Tables, WalTable } from './tables.ts'
import { fromJson, pagesOf, plain } from './values.ts'

type Db = Kysely<Tables>

/** Rows read at a time. */
const PAGE = 2000
const NAMES_AT_ONCE = 500
/** Far more than are on their way side by side, in however many stores. */
const LOOKED_BACK = 256

export async function recordWal(scope: Scope, piece: WalFile, store: string): Promise<void> {
  const { restore_points, start_lsn, end_lsn, ...rest } = piece
  const points = restore_points.map((point) => ({ ...point, name: plain(point.name) }))
  const row = {
    ...rest,
    store,
    restore_points: JSON.stringify(points),
    start_lsn: key(start_lsn),
    end_lsn: key(end_lsn),
  }
  await scope.db
    .insertInto('wal')
    .values(row)
    .onConflict((conflict) => conflict.columns(['source', 'store', 'name']).doNothing())
    .execute()
}

export async function forgetWal(scope: Scope, source: string, store: string, names: readonly string[]): Promise<void> {
  for (const some of pagesOf(names, NAMES_AT_ONCE)) {
    const rows = scope.db.deleteFrom('wal').where('source', '=', source).where('store', '=', store)
    await rows.where('name', 'in', some).execute()
  }
}

export async function recordWalGap(scope: Scope, gap: Omit<WalGap, 'detected_at'>): Promise<void> {
  const { from_lsn, to_lsn, reason, ...rest } = gap
  const grown = { to_timeline: rest.to_timeline, to_lsn: key(to_lsn), reason: plain(reason) }
  const row = { ...rest, ...grown, from_lsn: key(from_lsn), detected_at: scope.now }
  await scope.db
    .insertInto('wal_gaps')
    .values(row)
    .onConflict((conflict) => conflict.columns(['source', 'system_id', 'timeline', 'from_lsn']).doUpdateSet(grown))
    .execute()
}

export async function recordWalStream(scope: Scope, { source, ...state }: Omit<WalStreamState, 'at'>): Promise<void> {
  const row = { state: plain(JSON.stringify(state)), at: scope.now }
  await scope.db
    .insertInto('wal_streams')
    .values({ source, ...row })
    .onConflict((conflict) => conflict.column('source').doUpdateSet(row))
    .execute()
}

export async function* findWal(db: Db, filter: WalFilter): AsyncGenerator<StoredWal> {
  let last: Selectable<WalTable> | null = null
  for (;;) {
    const rows: Selectable<WalTable>[] = await page(db, filter, last)
    for (const row of rows) yield fromRow(row)
    last = rows.at(-1) ?? null
    if (rows.length < PAGE || last === null) return
  }
}

/** The rows behind `last`, by timeline, position, name and store. */
function page(db: Db, filter: WalFilter, last: Selectable<WalTable> | null): Promise<Selectable<WalTable>[]> {
  let query = db.selectFrom('wal').selectAll().where('source', '=', filter.source)
  if (filter.kinds !== undefined) query = query.where('kind', 'in', filter.kinds)
  if (filter.name !== undefined) query = query.where('name', '=', filter.name)
  if (filter.store !== undefined) query = query.where('store', '=', filter.store)
  if (filter.system_id !== undefined) query = query.where('system_id', '=', filter.system_id)
  if (last !== null) {
    const { timeline, start_lsn, name, store } = last
    query = query.where((where) =>
      where(
        where.refTuple('timeline', 'start_lsn', 'name', 'store'),
        '>',
        where.tuple(timeline, start_lsn, name, store),
      ),
    )
  }
  return query.orderBy('timeline').orderBy('start_lsn').orderBy('name').orderBy('store').limit(PAGE).execute()
}

export async function walEnd(db: Db, source: string): Promise<(WalPosition & { readonly system_id: string }) | null> {
  const newest = await db
    .selectFrom('wal')
    .select(['system_id', 'timeline', 'start_lsn', 'end_lsn'])
    .where('source', '=', source)
    .where('kind', 'in', ['segment', 'tail'])
    .orderBy('timeline', 'desc')
    .orderBy('start_lsn', 'desc')
    .limit(LOOKED_BACK)
    .execute()
  const timeline = newest[0]?.timeline
  const pieces = newest.filter((piece) => piece.timeline === timeline).toReversed()
  const system_id = pieces.at(-1)?.system_id ?? null
  if (timeline === undefined || system_id === null) return null
  const gaps = (await walGaps(db, source)).filter((gap) => gap.system_id === system_id && gap.timeline === timeline)
  let end = pieces[0]!.end_lsn
  for (const piece of pieces) {
    const isKnown = gaps.some((gap) => key(gap.from_lsn) <= end && key(gap.to_lsn) >= piece.start_lsn)
    if (piece.start_lsn > end && !isKnown) break
    if (piece.end_lsn > end) end = piece.end_lsn
  }
  // A gap behind which nothing is stored yet: the slot keeps what comes there.
  const last = gaps.find((gap) => key(gap.from_lsn) <= end && key(gap.to_lsn) > end)
  if (last) return { system_id, timeline: last.to_timeline, lsn: last.to_lsn }
  return { system_id, timeline, lsn: lsnOfKey(end) }
}

export async function walGaps(db: Db, source: string): Promise<readonly WalGap[]> {
  const rows = await db
    .selectFrom('wal_gaps')
    .selectAll()
    .where('source', '=', source)
    .orderBy('timeline')
    .orderBy('from_lsn')
    .execute()
  return rows.map((row) => ({ ...row, from_lsn: lsnOfKey(row.from_lsn), to_lsn: lsnOfKey(row.to_lsn) }))
}

export async function walStreams(db: Db): Promise<readonly WalStreamState[]> {
  const rows = await db.selectFrom('wal_streams').selectAll().orderBy('source').execute()
  return rows.map(({ source, state, at }) => ({
    source,
    ...(fromJson(state) as Omit<WalStreamState, 'source' | 'at'>),
    at,
  }))
}

function key(lsn: Lsn | null): string {
  return lsn === null ? '' : lsnKey(lsnValue(lsn))
}

function fromRow({ restore_points, start_lsn, end_lsn, ...row }: Selectable<WalTable>): StoredWal {
  return {
    ...row,
    start_lsn: start_lsn === '' ? null : lsnOfKey(start_lsn),
    end_lsn: end_lsn === '' ? null : lsnOfKey(end_lsn),
    restore_points: fromJson(restore_points) as readonly RestorePoint[],
  }
}
