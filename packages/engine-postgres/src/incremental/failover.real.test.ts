import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { startPostgres, startStandby, type RealPostgres } from '@salvor/testkit/real/postgres'
import { newerPrograms } from '@salvor/testkit/real/postgres-programs'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { ChainOfBackups, differences } from './chain.fixture.ts'
import { VERSION_GATES } from './gates.ts'

const { bin, missing } = newerPrograms(17)

test('a chain of the server’s incrementals goes on from a standby, and from that once it was promoted', async ({
  skip,
}) => {
  skip(bin === null, missing)
  using folder = temporaryFolder()
  const settings = { summarize_wal: 'on', autovacuum: 'off' }
  await using primary = await startPostgres({ major: 17, bin: bin!, initdb: ['--data-checksums'], settings })
  await primary.query('CREATE TABLE patients (id int PRIMARY KEY, name text)')
  await primary.query('INSERT INTO patients SELECT g, $$Patient $$ || g FROM generate_series(1, 50000) g')
  await using standby = await startStandby(primary)
  const onPrimary = new ChainOfBackups(primary.url, folder.path, { versionGates: VERSION_GATES }, [bin!])
  await onPrimary.full()
  const chain = onPrimary.on(standby.url)
  const taken = async () => (await chain.increment()).facts.engine_facts['incremental']

  await change(primary, 1)
  // Its last restartpoint is from before the parent, and it cannot make one by itself.
  await expect(taken()).rejects.toMatchObject({ code: 'FULL_NEEDED' })
  await caughtUp(primary, standby)
  const kinds = [await taken()]
  // One that a schedule asks for is skipped until the primary writes something.
  expect(await chain.isUnchanged()).toBe(true)
  await change(primary, 2)
  await received(primary, standby)
  await expect(chain.isUnchanged()).rejects.toMatchObject({ code: 'FULL_NEEDED' })
  await caughtUp(primary, standby)
  await standby.query('SELECT pg_promote()')
  for (const n of [3, 4]) {
    await change(standby, n)
    kinds.push(await taken())
  }
  expect(kinds).toEqual(['native', 'native', 'native'])

  const [target, theirs] = [join(folder.path, 'restored'), join(folder.path, 'theirs')]
  await chain.restore(target)
  const put = spawnSync(join(bin!, 'pg_combinebackup'), ['-N', '-o', theirs, ...chain.unpacked()], { encoding: 'utf8' })
  expect(put.stderr).toBe('')
  expect(differences(target, theirs)).toEqual([])
  const counted = [1, 2, 3, 4].map((n) => `SELECT count(*) = 1000 FROM patients WHERE name = 'n${n}'`)
  expect(await chain.prove(target, counted)).toEqual([])
})

const change = (server: RealPostgres, n: number) =>
  server.query(`UPDATE patients SET name = 'n${n}' WHERE id % 50 = ${n}`)

/** The standby has what the primary has, and a restartpoint there. */
async function caughtUp(primary: RealPostgres, standby: RealPostgres): Promise<void> {
  await primary.query('CHECKPOINT')
  await received(primary, standby)
  await standby.query('CHECKPOINT')
}

async function received(primary: RealPostgres, standby: RealPostgres): Promise<void> {
  const [at] = await primary.query('SELECT pg_current_wal_lsn()::text AS lsn')
  const replayed = `SELECT pg_last_wal_replay_lsn() >= '${String(at!['lsn'])}' AS ok`
  await expect.poll(() => standby.query(replayed)).toEqual([{ ok: true }])
}
