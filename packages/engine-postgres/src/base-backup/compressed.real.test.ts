import { startPostgres, type PostgresMajor } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { serverUser } from '@salvor/testkit/real/postgres-programs'
import { chownSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { backUp, contentOf, engineOf, never, temporaryFolder } from '../engine.fixture.ts'

/** Of Debian; those from npm are built without zstd. */
const WITH_ZSTD = '/usr/lib/postgresql/15/bin'

/** Backs up, restores and proves a cluster with a tablespace; gives what was said about compression. */
async function saidOf(major: PostgresMajor): Promise<string[]> {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major, initdb: ['--data-checksums'] })
  const place = join(server.folder, 'fast')
  mkdirSync(place, { mode: 0o700 })
  if (serverUser.uid !== undefined) chownSync(place, serverUser.uid, serverUser.gid!)
  await createClinicPg(server.url, { rows: 5_000 })
  await server.query(`CREATE TABLESPACE fast LOCATION '${place}'`)
  await server.query('CREATE TABLE swift TABLESPACE fast AS SELECT * FROM patients')
  const file = join(folder.path, 'backup.tar')
  const engine = engineOf(server.url, folder.path, { compress_at_source: true })
  const { engine_facts, notices } = await backUp(engine, file)
  const target = join(folder.path, 'restored')
  const request = { target, in_place: false, engine_facts, tablespaces: 'inside' as const }
  const restored = await engine.restore(contentOf(file), request, never)
  const checks = await engine.prove(target, ['SELECT count(*) = 5000 FROM swift'], engine_facts, never)
  expect([...restored.checks, ...checks].filter(({ ok }) => !ok)).toEqual([])
  return notices.filter((notice) => notice.includes('compression: { at: source }'))
}

test('a server with zstd compresses what it sends, tablespaces too, and all comes back', async ({ skip }) => {
  skip(!existsSync(WITH_ZSTD), 'no PostgreSQL 15 with zstd')
  process.env['TEST_POSTGRES_15_BIN'] = WITH_ZSTD
  expect(await saidOf(15)).toEqual([])
})

test.each([13, 17] as const)('PostgreSQL %i, which cannot, is backed up uncompressed and says why', async (major) => {
  expect(await saidOf(major)).toEqual([expect.stringContaining('the backup came uncompressed')])
})
