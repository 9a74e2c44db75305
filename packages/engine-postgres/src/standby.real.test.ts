import { startPostgres, startStandby, type RealPostgres } from '@salvor/testkit/real/postgres'
import { clinicState, createClinicPg, startPgWriter, CLINIC_PG_CHECKS } from '@salvor/testkit/real/postgres-load'
import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentOf, engineOf, fileSink, backUp, never, temporaryFolder } from './engine.fixture.ts'

const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'

describe.each([13, 15, 18] as const)('a streaming standby of PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  let primary: RealPostgres
  let standby: RealPostgres
  const engine = () => engineOf(standby.url, folder.path)
  beforeAll(async () => {
    primary = await startPostgres({ major, initdb: ['--data-checksums'], settings: { checkpoint_timeout: '30s' } })
    await createClinicPg(primary.url, { rows: 40_000 })
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby[Symbol.asyncDispose]()
    await primary[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('is a source like any other, while the primary is written to', async () => {
    const file = join(folder.path, 'backup.tar')
    await using writer = startPgWriter(primary.url, { tps: 200 })
    await expect.poll(() => clinicState(standby.url).then(({ visits }) => visits)).toBeGreaterThan(20)
    const before = (await clinicState(standby.url)).lastVisit
    const facts = await backUp(engine(), file)
    await writer.stop()
    expect(facts.notices).toEqual([expect.stringContaining('the server is a standby')])
    const target = join(folder.path, 'restored')
    await engine().restore(contentOf(file), { target, in_place: false, engine_facts: facts.engine_facts }, never)
    // Debian's program reads the manifests of servers before 17.
    const oracle = major < 17 && existsSync(VERIFY_BACKUP)
    const said = oracle ? spawnSync(VERIFY_BACKUP, ['-n', target], { encoding: 'utf8' }) : null
    expect(said === null ? '' : said.stdout + said.stderr).toContain(oracle ? 'backup successfully verified' : '')
    const checks = [...CLINIC_PG_CHECKS, `SELECT max(id) >= ${before} FROM visits`]
    const proof = await engine().prove(target, checks, facts.engine_facts, never)
    expect(proof.filter(({ ok }) => !ok)).toEqual([])
  })

  test('whose primary writes no full pages cannot be backed up, and says how it could', async () => {
    const set = async (value: string) => {
      await primary.query(`ALTER SYSTEM SET full_page_writes = ${value}`)
      await primary.query('SELECT pg_reload_conf()')
      await primary.query('CHECKPOINT')
    }
    await set('off')
    await primary.query('INSERT INTO visits SELECT max(id) + 1, 1 FROM visits').catch(() => undefined)
    await expect.poll(() => caughtUp(primary, standby)).toBe(true)
    await expect(backUp(engine(), join(folder.path, 'torn.tar'))).rejects.toMatchObject({
      code: 'SOURCE_UNSUPPORTED',
      hint: expect.stringContaining('full_page_writes = on'),
    })
    await set('on')
    await expect.poll(() => caughtUp(primary, standby)).toBe(true)
    await standby.query('CHECKPOINT')
    await backUp(engine(), join(folder.path, 'whole.tar'))
  })

  test('that is promoted in the middle of a backup ends it, and the next one is of the new primary', async () => {
    let promoted: Promise<unknown> | null = null
    using sink = fileSink(join(folder.path, 'promoted.tar'), (bytes) => {
      if (bytes < 500_000 || promoted) return undefined
      promoted = standby.query('SELECT pg_promote()')
      return promoted.then(() => undefined)
    })
    await expect(engine().snapshot(sink, never)).rejects.toMatchObject({
      code: 'SOURCE_BROKE_OFF',
      retryable: true,
      message: expect.stringContaining('the standby was promoted meanwhile'),
    })
    const facts = await backUp(engine(), join(folder.path, 'after.tar'))
    expect(facts.engine_facts['timeline']).toBe(2)
    expect(facts.notices.filter((notice) => notice.includes('standby'))).toEqual([])
  })
})

async function caughtUp(primary: RealPostgres, standby: RealPostgres): Promise<boolean> {
  const [sent] = await primary.query('SELECT pg_current_wal_lsn()::text AS lsn')
  const [row] = await standby.query('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done', [sent!['lsn']])
  return row!['done'] === true
}
