import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import { CLI } from './catalog-samples.ts'
import type { CatalogUnderTest, OpenCatalog } from './catalog-samples.ts'

const entry = (object: string) => ({ actor: 'ada', action: 'hold.add', object, outcome: 'held' })

function write(catalog: Catalog, rows: number): Promise<void> {
  return catalog.transaction({ ...CLI, correlation_id: 'story' }, async (tx) => {
    for (let row = 1; row <= rows; row += 1) await tx.audit(entry(`backup-${row}`))
  })
}

/** The chain as somebody with the database's password could leave it. */
const TAMPERINGS: readonly (readonly [what: string, statements: readonly string[], bad: number])[] = [
  ['a changed word', [`update audit set outcome = 'released' where n = 3`], 3],
  ['a changed time', [`update audit set at = '2020-01-01T00:00:00.000000Z' where n = 1`], 1],
  ['a story taken away', [`update audit set correlation_id = null where n = 2`], 2],
  ['text moved from one field to the next', [`update audit set actor = 'adah', action = 'old.add' where n = 4`], 4],
  ['a changed hash', [`update audit set hash = '${'0'.repeat(64)}' where n = 5`], 5],
  ['a removed row', [`delete from audit where n = 2`], 2],
  ['a removed first row', [`delete from audit where n = 1`], 1],
  ['a removed tail', [`delete from audit where n >= 5`], 5],
  ['every row removed', [`delete from audit`], 1],
  ['two rows that changed places', [2, 4, 9].map((n, at) => `update audit set n = ${[9, 2, 4][at]} where n = ${n}`), 2],
  [
    'a row added behind the last',
    [
      `insert into audit select 7, at, service, actor, action, object, outcome, correlation_id, hash from audit where n = 6`,
    ],
    7,
  ],
  ['a tail removed together with the head', [`delete from audit where n = 6`, `update audit_head set n = 5`], 5],
  ['another beginning', [`update audit_head set genesis = '${'1'.repeat(64)}'`], 1],
]

/** Who did what: a chain of hashes in which a change is found. */
export function auditContract(open: OpenCatalog): void {
  test('a chain that nobody touched is whole, also an empty one', async () => {
    await using place = await open()
    expect(await place.catalog.verifyAudit()).toBeNull()
    await write(place.catalog, 6)
    await write(place.catalog, 1)
    expect(await place.catalog.verifyAudit()).toBeNull()
  })

  test.each(TAMPERINGS)('%s is found and its row is named', async (_, statements, bad) => {
    await using place = await open()
    await write(place.catalog, 6)
    await tamper(place, statements)
    expect(await place.catalog.verifyAudit()).toBe(bad)
  })

  test('entries of many transactions at once stay in one chain, and a rollback leaves no gap', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const writes = Array.from({ length: 30 }, (_, index) =>
      handles[index % 2]!.transaction(CLI, async (tx) => {
        await tx.audit(entry(`first-${index}`))
        if (index % 5 === 0) throw new Error('rolled back')
        await tx.audit(entry(`second-${index}`))
      }),
    )
    const settled = await Promise.allSettled(writes)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(24)
    expect(await place.catalog.verifyAudit()).toBeNull()
    await tamper(place, [`update audit set object = 'x' where n = 48`])
    expect(await handles[1]!.verifyAudit()).toBe(48)
  })

  test('a chain longer than one page of reading is checked to its end', async () => {
    await using place = await open()
    await write(place.catalog, 2_500)
    expect(await place.catalog.verifyAudit()).toBeNull()
    await tamper(place, [`update audit set actor = 'eve' where n = 2400`])
    expect(await place.catalog.verifyAudit()).toBe(2400)
  })

  test('any text can be an entry, and is checked as it is stored', async () => {
    await using place = await open()
    const odd = ['', '\0nul', '\ud800 alone', 'ü 漢 🗝', "'; drop table audit; --", 'x'.repeat(100_000)]
    await place.catalog.transaction(CLI, async (tx) => {
      for (const text of odd) await tx.audit({ actor: text, action: text, object: text, outcome: text })
    })
    expect(await place.catalog.verifyAudit()).toBeNull()
  })
}

async function tamper(place: CatalogUnderTest, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await place.sql(statement)
}
