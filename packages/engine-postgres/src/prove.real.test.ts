import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { SOURCE_CHECK } from '@salvor/shared/vocabulary/verification'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backUp, contentOf, engineOf, never, temporaryFolder } from './engine.fixture.ts'

describe('proving a restored copy', () => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  let server: RealPostgres
  let facts: SnapshotFacts
  let patients = ''
  const engine = (home = folder.path) => engineOf(server.url, home)
  const restoredAt = async (name: string, home = folder.path): Promise<string> => {
    const target = join(home, name)
    await engine(home).restore(contentOf(file), { target, in_place: false, engine_facts: facts.engine_facts }, never)
    return target
  }
  beforeAll(async () => {
    server = await startPostgres({ major: 18, initdb: ['--data-checksums'] })
    await createClinicPg(server.url, { rows: 5000 })
    await server.query('CHECKPOINT')
    const [row] = await server.query("SELECT pg_relation_filepath('patients') AS path")
    patients = String(row?.['path'])
    facts = await backUp(engine(), file)
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('a page that changed on the disk is found by its checksum, and its file is named', async () => {
    const restored = await restoredAt('page')
    const bytes = readFileSync(join(restored, patients))
    bytes.writeUInt8(bytes.readUInt8(8192 * 3 + 4000) ^ 0x10, 8192 * 3 + 4000)
    writeFileSync(join(restored, patients), bytes)
    const checks = await engine().prove(restored, [], facts.engine_facts, never)
    const pages = checks.find(({ name }) => name === 'page checksums')!
    expect(pages.ok).toBe(false)
    expect(pages.detail).toContain(`1 bad pages`)
    expect(pages.detail).toContain(patients)
    expect(checks.find(({ name }) => name === 'tables')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('public.patients: SQLSTATE XX001'),
    })
  })

  test('a copy without its WAL does not recover, and says why', async () => {
    const restored = await restoredAt('no-wal')
    for (const name of readdirSync(join(restored, 'pg_wal'))) {
      if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(restored, 'pg_wal', name))
    }
    const checks = await engine().prove(restored, [], facts.engine_facts, never)
    expect(checks).toMatchObject([
      { name: 'recovery', ok: false, detail: expect.stringContaining('checkpoint record') },
    ])
    expect(serversIn(restored)).toEqual([])
  })

  test('checks are judged by one row whose first column is true, and tell no values', async () => {
    const restored = await restoredAt('checks')
    const sql = [
      'SELECT count(*) = 5000 FROM patients',
      'SELECT false',
      'SELECT true FROM patients LIMIT 2',
      'SELECT NULL::boolean',
      'SELECT name::int = 1 FROM patients',
      'SELECT * FROM no_such_table',
      'SELECT true; SELECT true',
    ]
    const checks = await engine().prove(restored, sql, facts.engine_facts, never)
    const judged = sql.map((name) => checks.find((check) => check.name === SOURCE_CHECK + name)!)
    expect(judged.map(({ ok }) => ok)).toEqual([true, false, false, false, false, false, false])
    expect(judged.map(({ detail }) => detail)).toEqual([
      'true',
      'not true',
      '2 rows instead of one',
      'null',
      'SQLSTATE 22P02',
      'SQLSTATE 42P01',
      'a check is one SELECT',
    ])
    expect(JSON.stringify(checks)).not.toContain('Patient 1')
    expect(serversIn(restored)).toEqual([])
  })

  test('a restored copy answers whoever asks, in columns; writes are refused, and a failure quotes no value', async () => {
    const ask = async (sql: string) => {
      const restored = await restoredAt(`asked-${(asked += 1)}`)
      return engine().askRestored!(restored, sql, undefined, never)
    }
    let asked = 0
    expect(await ask('SELECT count(*) AS n, NULL AS nothing FROM patients; SELECT 1 WHERE false')).toEqual([
      { columns: ['n', 'nothing'], rows: [['5000', null]] },
      { columns: ['?column?'], rows: [] },
    ])
    await expect(ask('DELETE FROM patients')).rejects.toMatchObject({ code: 'QUERY_REFUSED' })
    const cast = await ask('SELECT name::int FROM patients').catch((error: unknown) => error)
    expect(cast).toMatchObject({ code: 'QUERY_FAILED', message: expect.stringContaining('SQLSTATE 22P02') })
    await expect(ask('SELECT * FROM nowhere')).rejects.toMatchObject({
      code: 'QUERY_FAILED',
      message: expect.stringContaining('relation "nowhere" does not exist'),
    })
    expect(serversIn(folder.path)).toEqual([])
  })

  test('a deep and closed folder is no obstacle', async () => {
    const home = join(folder.path, 'd'.repeat(100), 'e'.repeat(60))
    mkdirSync(home, { recursive: true, mode: 0o700 })
    const restored = await restoredAt('deep', home)
    const checks = await engine(home).prove(restored, [], facts.engine_facts, never)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  })

  test('a major that is not installed is not a failure of the copy', async () => {
    const restored = join(folder.path, 'future')
    mkdirSync(restored)
    writeFileSync(join(restored, 'PG_VERSION'), '99\n')
    await expect(engine().prove(restored, [], {}, never)).rejects.toMatchObject({
      code: 'CANNOT_VERIFY_HERE',
      message: expect.stringContaining('PostgreSQL 99'),
    })
  })

  test('an abort leaves no server', async () => {
    const restored = await restoredAt('aborted')
    const abort = new AbortController()
    const proving = engine().prove(restored, ['SELECT pg_sleep(60) IS NULL'], facts.engine_facts, abort.signal)
    proving.catch(() => undefined)
    await expect.poll(() => serversIn(restored).length, { timeout: 20_000, interval: 20 }).toBeGreaterThan(2)
    abort.abort(new Error('enough'))
    await expect(proving).rejects.toThrow('enough')
    await expect.poll(() => serversIn(restored), { timeout: 5000 }).toEqual([])
  })

  test.skipIf(process.platform !== 'linux')('a killed process takes its server with it', async () => {
    const restored = await restoredAt('killed')
    const script = fileURLToPath(new URL('./prove-forever.fixture.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=source', script, server.url, folder.path, restored], {
      stdio: 'inherit',
    })
    await expect.poll(() => serversIn(restored).length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(2)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await expect.poll(() => serversIn(restored), { timeout: 10_000 }).toEqual([])
  })

  test('an index in the wrong order is found by amcheck, and named', async () => {
    await server.query('CREATE TABLE numbers AS SELECT g AS n FROM generate_series(1, 1000) g')
    await server.query('CREATE INDEX by_number ON numbers (n)')
    await server.query("UPDATE pg_index SET indoption = '3' WHERE indexrelid = 'by_number'::regclass")
    const other = join(folder.path, 'unordered.tar')
    const unordered = await backUp(engine(), other)
    const target = join(folder.path, 'unordered')
    const request = { target, in_place: false, engine_facts: unordered.engine_facts }
    await engine().restore(contentOf(other), request, never)
    const failed = (await engine().prove(target, [], unordered.engine_facts, never)).filter(({ ok }) => !ok)
    expect(failed).toMatchObject([{ name: 'indexes', detail: 'postgres: public.by_number: SQLSTATE XX002 (amcheck)' }])
    await server.query('DROP TABLE numbers')
  })

  test("the names of the source's superusers need not be known", async () => {
    await server.query('CREATE ROLE chief SUPERUSER LOGIN')
    const asChief = `postgres://chief@127.0.0.1:${server.port}/postgres`
    const { Client } = await import('pg')
    const chief = new Client({ connectionString: asChief })
    await chief.connect()
    await chief.query('ALTER ROLE postgres RENAME TO x9; ALTER ROLE x9 NOLOGIN')
    await chief.end()
    const other = join(folder.path, 'renamed.tar')
    const renamed = await backUp(engineOf(asChief, folder.path), other)
    const target = join(folder.path, 'renamed')
    const request = { target, in_place: false, engine_facts: renamed.engine_facts }
    await engineOf(asChief, folder.path).restore(contentOf(other), request, never)
    const checks = await engineOf(asChief, folder.path).prove(target, [], renamed.engine_facts, never)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  })
})

/** Processes of a server whose data folder this is: each works in it. */
function serversIn(data: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === data
    } catch {
      return false
    }
  })
}
