import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { describe, expect, test } from 'vitest'
import { LIMITS } from './config.ts'
import { openEngine } from './index.ts'

const never = new AbortController().signal

function prove(bench: Bench, path: string, checks: readonly string[], check_ms = LIMITS.check_ms) {
  return openEngine({ path: bench.path('source.db') }, bench.context(), { ...LIMITS, check_ms }).prove(
    path,
    checks,
    {},
    never,
  )
}

test('a good copy passes the checks of SQLite and of the configuration, and nothing is written beside it', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  createClinic(copy, { rows: 100 })
  const sql = 'SELECT count(*) > 0\n  FROM patients'
  const checks = await prove(bench, copy, [sql])
  expect(checks.map(({ name, ok, detail }) => [name, ok, detail])).toEqual([
    ['integrity_check', true, 'ok'],
    ['foreign_key_check', true, '0 rows point to nothing'],
    ['check: SELECT count(*) > 0 FROM patients', true, '1 row, true'],
  ])
  expect([existsSync(`${copy}-wal`), existsSync(`${copy}-shm`)]).toEqual([false, false])
})

test('a check passes only with one row whose first column is true', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  createClinic(copy, { rows: 100 })
  const checks = await prove(bench, copy, [
    'SELECT 0',
    'SELECT NULL',
    'SELECT count(*) FROM patients',
    `SELECT 'secret name'`,
    'SELECT 1 FROM patients',
    'SELECT 1 WHERE 0',
    'DELETE FROM patients',
    'CREATE TABLE x (a)',
    'SELECT 1; SELECT 1',
    'SELECT 1 FROM no_such_table',
    `SELECT json_extract('{}', (SELECT name FROM patients)) = 1`,
  ])
  expect(checks.slice(2).map(({ ok, detail }) => [ok, detail])).toEqual([
    [false, '1 row, false'],
    [false, '1 row, null'],
    [false, '1 row, neither true nor false'],
    [false, '1 row, neither true nor false'],
    [false, 'more than 1 row'],
    [false, '0 rows'],
    [false, 'not a query'],
    [false, 'not a query'],
    [false, expect.any(String)],
    [false, 'SQLITE_ERROR: no such table no_such_table'],
    [false, 'SQLITE_ERROR'],
  ])
  expect(JSON.stringify(checks.map(({ detail }) => detail))).not.toMatch(/secret|son \d/)
})

test('a check that does not end is given up, and the next ones still run', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  createClinic(copy, { rows: 100 })
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) > 0 FROM n'
  const checks = await prove(bench, copy, [endless, 'SELECT 1'], 1_500)
  expect(checks.slice(2)).toMatchObject([
    { ok: false, detail: 'no answer within 1500 ms' },
    { ok: true, detail: '1 row, true' },
  ])
})

test('an abort ends a check that does not end', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  createClinic(copy, { rows: 10 })
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) > 0 FROM n'
  const engine = openEngine({ path: bench.path('source.db') }, bench.context())
  await expect(engine.prove(copy, [endless], {}, AbortSignal.timeout(1_500))).rejects.toMatchObject({
    code: 'INTERRUPTED',
  })
})

test('references that point to nothing are told, and fail only where the configuration asks for it', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  createClinic(copy, { rows: 20 })
  const change = (sql: string): void => {
    const application = new Database(copy)
    application.exec(sql)
    application.close()
  }
  change('PRAGMA foreign_keys = OFF; DELETE FROM patients WHERE id = 3')
  const strict = 'SELECT count(*) = 0 FROM pragma_foreign_key_check'
  expect((await prove(bench, copy, [strict])).slice(1)).toMatchObject([
    { ok: true, detail: 'rows that point to nothing, as in the source: 5 in visits' },
    { ok: false, detail: '1 row, false' },
  ])
  change(
    'PRAGMA foreign_keys = OFF; CREATE TABLE a (x); CREATE TABLE b (y REFERENCES a (x)); INSERT INTO b SELECT NULL',
  )
  const [, mismatch] = await prove(bench, copy, [])
  expect(mismatch).toMatchObject({ ok: true, detail: expect.stringContaining('not countable') as string })
})

describe('a bad copy is told', () => {
  test('damaged pages', async () => {
    using bench = openBench()
    const copy = bench.path('copy.db')
    createClinic(copy, { rows: 200 })
    const bytes = readFileSync(copy)
    bytes.fill(0x5a, 4096 * 30, 4096 * 31)
    writeFileSync(copy, bytes)
    const [integrity] = await prove(bench, copy, [])
    expect(integrity).toMatchObject({ name: 'integrity_check', ok: false })
    expect(integrity?.detail).toMatch(/problems|CORRUPT/)
  })

  test('no database at all, and no file', async () => {
    using bench = openBench()
    writeFileSync(bench.path('copy.db'), 'x'.repeat(5000))
    const checks = await prove(bench, bench.path('copy.db'), ['SELECT 1'])
    expect(checks[0]).toMatchObject({ ok: false, detail: expect.stringContaining('SQLITE_NOTADB') as string })
    await expect(prove(bench, bench.path('none.db'), [])).rejects.toMatchObject({ code: 'RESTORE_FAILED' })
  })
})

test('a hostile schema runs nothing: no trigger, no extension, no file, no function that is not innocuous', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  const application = new Database(copy)
  application.unsafeMode()
  application.exec(`
    CREATE TABLE t (a);
    INSERT INTO t VALUES (1);
    CREATE TABLE log (a);
    CREATE TRIGGER spy AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END;
    CREATE VIEW loads AS SELECT load_extension('/tmp/evil.so') AS a;
    CREATE VIRTUAL TABLE words USING fts5(body);
    CREATE VIEW settings AS SELECT fts5(NULL) AS a;
  `)
  application.pragma('writable_schema = ON')
  application.exec(
    `UPDATE sqlite_schema SET sql = 'CREATE TABLE log (a DEFAULT (readfile(''/etc/passwd'')))' WHERE name = 'log'`,
  )
  application.close()
  const before = readFileSync(copy)
  const checks = await prove(bench, copy, [
    'SELECT a FROM loads',
    'SELECT count(*) = 0 FROM log',
    `ATTACH '${bench.path('evil.db')}' AS evil`,
    `VACUUM INTO '${bench.path('evil.db')}'`,
    'INSERT INTO t VALUES (2) RETURNING 1',
    'SELECT count(*) = 1 FROM t',
    'PRAGMA journal_mode = DELETE',
  ])
  const passed = checks.slice(2).map(({ ok }) => ok)
  expect(passed).toEqual([false, true, false, false, false, true, false])
  expect(existsSync(bench.path('evil.db'))).toBe(false)
  expect(readFileSync(copy).equals(before)).toBe(true)
  expect(readdirSync(bench.folder).filter((name) => name.startsWith('copy.db'))).toEqual(['copy.db'])
})

test('a part of the application that is missing here makes a copy neither good nor bad', async () => {
  using bench = openBench()
  const copy = bench.path('copy.db')
  const application = new Database(copy)
  application.function('phone_key', { deterministic: true }, (text) => String(text))
  application.exec(`CREATE TABLE t (a); INSERT INTO t VALUES ('1'); CREATE INDEX i ON t (phone_key(a))`)
  application.close()
  await expect(prove(bench, copy, [])).rejects.toMatchObject({
    code: 'CANNOT_VERIFY_HERE',
    message: expect.stringContaining('function phone_key') as string,
    exit: 3,
  })
})

test('a path with spaces, question marks and percent signs is opened as it is', async () => {
  using bench = openBench()
  const copy = bench.path('a ?b=1 %41 #c.db')
  createClinic(copy, { rows: 5 })
  const checks = await prove(bench, copy, ['SELECT count(*) = 5 FROM patients'])
  expect(checks.every((check) => check.ok)).toBe(true)
})
