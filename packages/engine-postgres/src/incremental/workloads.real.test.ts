import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { newerPrograms } from '@salvor/testkit/real/postgres-programs'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { ChainOfBackups, differences } from './chain.fixture.ts'
import { VERSION_GATES } from './gates.ts'

const ROUNDS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 200 : 1
const TABLES = 6

test('random workloads come back as pg_combinebackup puts them together', async ({ skip }) => {
  const first = Number(process.env['SALVOR_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`seed ${first} (SALVOR_TEST_SEED), ${ROUNDS} workloads`)
  for (let seed = first; seed < first + ROUNDS; seed += 1) {
    const random = generator(seed)
    const major = seed % 2 === 0 ? 17 : 18
    const { bin, missing } = newerPrograms(major)
    skip(bin === null, missing)
    using folder = temporaryFolder()
    const settings = { summarize_wal: 'on', autovacuum: 'off' }
    await using server = await startPostgres({ major, bin: bin!, initdb: ['--data-checksums'], settings })
    const chain = new ChainOfBackups(server.url, folder.path, { versionGates: VERSION_GATES }, [bin!])
    const done: string[] = []
    for (let link = 0, links = 2 + random(3); link <= links; link += 1) {
      for (let step = 0, steps = 2 + random(8); step < steps; step += 1) done.push(await perform(server, random))
      const { facts } = await (link === 0 ? chain.full() : chain.increment())
      expect({ seed, kind: facts.engine_facts['incremental'] }).toEqual({
        seed,
        kind: link === 0 ? undefined : 'native',
      })
      done.push('BACKUP')
    }
    const [target, theirs] = [join(folder.path, 'restored'), join(folder.path, 'theirs')]
    await chain.restore(target)
    const args = ['-N', '-o', theirs, ...chain.unpacked()]
    const put = spawnSync(join(bin!, 'pg_combinebackup'), args, { encoding: 'utf8' })
    expect({ seed, said: put.stderr }).toEqual({ seed, said: '' })
    expect({ seed, done, differ: differences(target, theirs) }).toEqual({ seed, done, differ: [] })
    rmSync(theirs, { recursive: true })
    const merged = join(folder.path, 'merged')
    await (await chain.merged()).restore(merged)
    expect({ seed, done, differ: differences(target, merged) }).toEqual({ seed, done, differ: [] })
    expect({ seed, done, failed: await chain.prove(target) }).toEqual({ seed, done, failed: [] })
  }
}, 7_200_000)

/** One thing that happens to one of some tables, or to a database. */
async function perform(server: RealPostgres, random: (below: number) => number): Promise<string> {
  const table = `t${random(TABLES)}`
  const some = `id % ${1 + random(200)} = 0`
  const rows = (count: number) =>
    `INSERT INTO ${table} SELECT g, repeat(chr(65 + g % 26), ${1 + random(300)}) FROM generate_series(1, ${count}) g`
  const deeds = [
    rows(1 + random(20_000)),
    rows(1 + random(100)),
    `UPDATE ${table} SET note = note || $$!$$ WHERE ${some}`,
    `DELETE FROM ${table} WHERE ${some}`,
    `DELETE FROM ${table} WHERE id > ${random(10_000)}`,
    `VACUUM ${table}`,
    `VACUUM FREEZE ${table}`,
    `VACUUM FULL ${table}`,
    `TRUNCATE ${table}`,
    `DROP TABLE ${table}`,
    `CREATE INDEX ON ${table} (id)`,
    `REINDEX TABLE ${table}`,
    `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS more int DEFAULT 7`,
    // Sets hint bits, which only checksums bring into the WAL.
    `SELECT count(*) FROM ${table}`,
    `CREATE DATABASE d${random(1_000_000)} STRATEGY ${random(2) === 0 ? 'file_copy' : 'wal_log'}`,
    'CHECKPOINT',
    'SELECT pg_switch_wal()',
  ]
  const logged = random(5) === 0 ? 'UNLOGGED ' : ''
  await server.query(`CREATE ${logged}TABLE IF NOT EXISTS ${table} (id int, note text)`)
  const deed = deeds[random(deeds.length)]!
  await server.query(deed)
  return deed
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
