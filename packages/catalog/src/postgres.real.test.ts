import type { Catalog } from '@salvor/shared/ports/catalog'
import { sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog'
import { CLI, codeOf, enqueueCopy, sampleBackup, sampleCopy } from '@salvor/testkit/contracts/catalog-samples'
import { POSTGRES_MAJORS, startPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { openCatalog } from './open-catalog.ts'

const open = (url: string): Promise<Catalog> =>
  openCatalog({ url, data_dir: '/', ids: testIds(), holderAlive: sampleHolderAlive })

test('processes that open a new catalog at once make it once', async () => {
  await using server = await startPostgres({ major: 17 })
  const handles = await Promise.all(Array.from({ length: 6 }, () => open(server.url)))
  expect(new Set(handles.map(({ id }) => id)).size).toBe(1)
  expect(await server.query('select count(*)::int as n from salvor.meta')).toEqual([{ n: 1 }])
  for (const handle of handles) await handle.close()
})

test('a server that dies is reported, rolls back what was open, and is used again when it is back', async () => {
  await using server = await startPostgres({ major: 17 })
  const catalog = await open(server.url)
  await enqueueCopy(catalog)
  const broken = catalog.transaction(CLI, async (tx) => {
    await tx.recordClaim('clinic', 'local')
    await server.kill9()
    await tx.recordClaim('clinic', 's3')
  })
  expect(await codeOf(broken)).toBe('CATALOG_UNREACHABLE')
  expect(await codeOf(catalog.runs({}))).toBe('CATALOG_UNREACHABLE')
  expect(await codeOf(enqueueCopy(catalog))).toBe('CATALOG_UNREACHABLE')
  await server.start()
  expect(await catalog.runs({})).toHaveLength(1)
  expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
  await enqueueCopy(catalog)
  await catalog.close()
})

test('a connection cut in the middle of a transaction takes its writes with it', async () => {
  await using server = await startPostgres({ major: 17 })
  const catalog = await open(server.url)
  const cut = catalog.transaction(CLI, async (tx) => {
    await tx.recordClaim('clinic', 'local')
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'`)
  })
  expect(await codeOf(cut)).toBe('CATALOG_UNREACHABLE')
  expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
  await catalog.close()
})

test('two transactions that wait for each other both commit: one is run again', async () => {
  await using server = await startPostgres({ major: 17, settings: { deadlock_timeout: '50ms' } })
  const catalog = await open(server.url)
  const [a, b] = [sampleBackup(), sampleBackup()]
  await catalog.transaction(CLI, async (tx) => {
    await tx.recordBackup(a)
    await tx.recordBackup(b)
  })
  const met = Promise.withResolvers<void>()
  let begun = 0
  const cross = (first: typeof a, second: typeof a, store: string) =>
    catalog.transaction(CLI, async (tx) => {
      begun += 1
      await tx.recordCopy(sampleCopy(first, { store }))
      if (begun === 2) met.resolve()
      await met.promise
      await tx.recordCopy(sampleCopy(second, { store }))
    })
  await Promise.all([cross(a, b, 'local'), cross(b, a, 's3')])
  expect(begun).toBe(3)
  for (const { id } of [a, b]) expect((await catalog.backup(id)).copies).toHaveLength(2)
  await catalog.close()
})

test('nobody listening, or a wrong password, is told without the password', async () => {
  await using server = await startPostgres({ major: 17, hba: ['host all locked 127.0.0.1/32 scram-sha-256'] })
  await server.query(`create role locked login password 'right'`)
  const at = (port: number) => `postgres://locked:hunter2@127.0.0.1:${port}/postgres`
  for (const url of [at(server.port), at(1), 'not a url with hunter2']) {
    const failing = open(url)
    expect(await codeOf(failing)).toBe('CATALOG_UNREACHABLE')
    await expect(failing).rejects.not.toThrow(/hunter2/)
  }
})

test('a commit is on disk before it is acknowledged, whatever the default of the server', async () => {
  const settings = { synchronous_commit: 'off', default_transaction_isolation: 'serializable' }
  await using server = await startPostgres({ major: 17, settings })
  const catalog = await open(server.url)
  const sessions = `select count(*)::int as n from pg_stat_activity where application_name = 'salvor'`
  expect((await server.query(sessions))[0]?.['n']).toBeGreaterThan(0)
  await enqueueCopy(catalog)
  await server.query(`create table seen (setting text)`)
  await server.query(`create function note() returns trigger language plpgsql as $$ begin
    insert into public.seen values (current_setting('synchronous_commit') || ' ' || current_setting('transaction_isolation'));
    return new; end $$`)
  await server.query(`create trigger note before insert on salvor.runs for each row execute function note()`)
  await enqueueCopy(catalog)
  expect(await server.query('select setting from seen')).toEqual([{ setting: 'on read committed' }])
  await catalog.close()
})

test('a role that may not create schemas uses a catalog that is there', async () => {
  await using server = await startPostgres({ major: 17 })
  const owner = await open(server.url)
  await server.query(`create role plain login`)
  await server.query(`grant usage on schema salvor to plain`)
  await server.query(`grant select, insert, update, delete on all tables in schema salvor to plain`)
  const catalog = await open(server.url.replace('postgres://postgres@', 'postgres://plain@'))
  await enqueueCopy(catalog)
  expect(await owner.runs({})).toHaveLength(1)
  await Promise.all([owner.close(), catalog.close()])
})

test.each(POSTGRES_MAJORS)('PostgreSQL %i keeps a catalog', async (major) => {
  await using server = await startPostgres({ major })
  const catalog = await open(server.url)
  const run = await enqueueCopy(catalog)
  await catalog.transaction(CLI, (tx) => tx.audit({ actor: 'a', action: 'b', object: 'c', outcome: 'd' }))
  expect((await catalog.runs({})).map(({ id }) => id)).toEqual([run.id])
  expect(await catalog.verifyAudit()).toBeNull()
  await catalog.close()
})
