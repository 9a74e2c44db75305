import { execFileSync } from 'node:child_process'
import { ChangeStretches } from '@salvor/policy/change-stretches'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { Deps } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { carriersOf, changeSetsByDay } from './change-facts.ts'
import { openChangeWorld } from './change-sets.fixture.ts'
import { changeFactsBetween, changeFactsSince, planChangesOf } from './plan-changes-of.ts'

const ROWS = 50_400
const EVERY_S = 12
const MINUTE = 60_000

/** By a process of its own: closing the catalog's file here would drop the locks of its other connections. */
function change(catalog: string, sql: string): void {
  const program = `const { DatabaseSync } = require('node:sqlite'); const db = new DatabaseSync(process.argv[1]);
    db.exec('PRAGMA busy_timeout = 10000'); db.exec(process.argv[2])`
  execFileSync(process.execPath, ['-e', program, catalog, sql])
}

test('of a week of sets, a plan and a proof read the hours that they need, and the window one day at a time', async () => {
  await using world = await openChangeWorld()
  const base = await world.backup()
  const begin = base.consistent_at.slice(0, 19)
  // They end ten minutes behind the backup.
  const file = world.path('salvor-data/catalog.db')
  change(
    file,
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}),
    sets (i, at) AS (SELECT i, strftime('%Y-%m-%dT%H:%M:%S', '${begin}', ((i - ${ROWS}) * ${EVERY_S} + 600) || ' seconds') FROM n)
    INSERT INTO change_sets (source, store, base, name, method, stands_on, previous, from_at, to_at, page_size, page_count, pages,
      size_bytes, source_bytes, document_sha256, stored_at)
    SELECT 'desk', 'local', 'b0', 'set-' || i, 'log', 'previous', printf('%064x', i - 1), at || '.000000Z', at || '.500000Z', 1024, 10, 1, 1, 1,
      printf('%064x', i), at || '.900000Z' FROM sets`,
  )
  let read = 0
  const { catalog } = world.deps
  const changeSets: Catalog['changeSets'] = async function* (filter) {
    for await (const set of catalog.changeSets(filter)) {
      read += 1
      yield set
    }
  }
  const deps: Deps = { ...world.deps, catalog: { ...catalog, changeSets } }
  const last = (await catalog.lastChangeSet('desk'))!

  const at = shifted(base.consistent_at, 5 * MINUTE)
  const past = await planChangesOf(deps, { source: 'desk', target: { kind: 'time', at }, backup_id: null }, null)
  const newest = await planChangesOf(deps, { source: 'desk', target: { kind: 'latest' }, backup_id: null }, null)
  expect([past.backup_id, past.sets.length > 20, past.sets.length < 30]).toEqual([base.id, true, true])
  expect([newest.backup_id, newest.recovers_to]).toEqual([base.id, last.to_at])
  const { sets } = await changeFactsSince(deps, 'desk', base.consistent_at)
  expect(sets.length).toBeLessThan(1_000)
  expect(read).toBeLessThan(3_000)
  const span = { since: at, until: shifted(at, MINUTE) }
  const between = await changeFactsBetween(deps, 'desk', null, span)
  expect(between.sets.filter(({ to_at }) => at <= to_at && to_at <= span.until)).toHaveLength(5)
  expect(read).toBeLessThan(4_000)

  const found = new ChangeStretches()
  const days: number[] = []
  for await (const day of changeSetsByDay(deps, 'desk', null)) {
    found.addDay(day)
    days.push(day.length)
  }
  expect(Math.max(...days)).toBe(86_400 / EVERY_S)
  const { bases, stream } = await carriersOf(deps, 'desk')
  const [stretch, ...others] = found.stretches(bases, stream)
  expect(stretch).toMatchObject({ earliest_at: base.consistent_at, latest_at: last.to_at, change_sets: ROWS })
  expect([others, found.gaps()]).toEqual([[], []])

  // What hangs on a set that is older than those hours is found by reading all of them.
  change(
    file,
    `DELETE FROM change_sets WHERE to_at > strftime('%Y-%m-%dT%H:%M:%S', '${begin}', '-3 hours') AND name <> 'set-${ROWS}';
    UPDATE change_sets SET previous = (SELECT document_sha256 FROM change_sets WHERE name <> 'set-${ROWS}' ORDER BY to_at DESC LIMIT 1) WHERE name = 'set-${ROWS}'`,
  )
  const hanging = await planChangesOf(deps, { source: 'desk', target: { kind: 'latest' }, backup_id: null }, null)
  expect([hanging.recovers_to, hanging.sets.map(({ name }) => name)]).toEqual([last.to_at, [`set-${ROWS}`]])
})
