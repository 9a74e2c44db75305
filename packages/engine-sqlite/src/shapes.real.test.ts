import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { assertInvariant, createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const never = new AbortController().signal
const LOCK_BYTE = 0x4000_0000

async function copied(bench: Bench, path: string): Promise<{ copy: string; facts: Record<string, unknown> }> {
  const copy = bench.path('copy.db')
  await using sink = openFileSink(copy)
  const { engine_facts } = await openEngine({ path }, bench.context()).snapshot(sink, never)
  return { copy, facts: engine_facts }
}

for (const journal of ['wal', 'delete'] as const) {
  for (const page_size of [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]) {
    test(`page size ${page_size}, journal mode ${journal}: the copy is the database`, async () => {
      using bench = openBench()
      const path = bench.path('clinic.db')
      createClinic(path, { rows: 100, page_size, journal })
      const { copy, facts } = await copied(bench, path)
      expect(readFileSync(copy).equals(readFileSync(path))).toBe(true)
      expect(facts).toMatchObject({ page_size, page_count: statSync(path).size / page_size })
      assertInvariant(copy)
    })
  }
}

for (const auto_vacuum of ['full', 'incremental'] as const) {
  test(`auto_vacuum ${auto_vacuum}: a shrunken database comes back as short as it is`, async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 500, auto_vacuum })
    const application = new Database(path)
    application.exec('DELETE FROM images; PRAGMA incremental_vacuum')
    application.close()
    const { copy, facts } = await copied(bench, path)
    expect(statSync(copy).size).toBe(statSync(path).size)
    expect(facts['auto_vacuum']).toBe(auto_vacuum === 'full' ? 1 : 2)
    assertInvariant(copy)
  })
}

test('full-text search, generated columns, tables without rowid and strict tables come along', async () => {
  using bench = openBench()
  const path = bench.path('app.db')
  const application = new Database(path)
  application.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE prices (net REAL, gross REAL GENERATED ALWAYS AS (net * 1.25) STORED, label TEXT AS (net || ' net'));
    INSERT INTO prices (net) VALUES (10), (20);
    CREATE TABLE settings (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    INSERT INTO settings VALUES ('a', 1), ('b', x'00ff');
    CREATE VIRTUAL TABLE notes USING fts5(body);
    INSERT INTO notes VALUES ('knee pain after a fall'), ('cough');
    CREATE VIEW cheap AS SELECT * FROM prices WHERE gross < 20;
    CREATE TRIGGER t AFTER INSERT ON settings BEGIN UPDATE prices SET net = net + 1; END;
  `)
  application.close()
  const { copy } = await copied(bench, path)
  const engine = openEngine({ path }, bench.context())
  const checks = await engine.prove(
    copy,
    [
      'SELECT sum(gross) = 37.5 FROM prices',
      'SELECT count(*) = 2 FROM settings',
      `SELECT count(*) = 1 FROM notes WHERE notes MATCH 'knee'`,
      'SELECT count(*) = 1 FROM cheap',
    ],
    {},
    never,
  )
  expect(checks.filter((check) => !check.ok)).toEqual([])
})

for (const [name, prepare] of [
  ['a file of no bytes', (path: string) => writeFileSync(path, '')],
  [
    'a database without tables in WAL mode',
    (path: string) => {
      const application = new Database(path)
      application.pragma('journal_mode = WAL')
      application.close()
    },
  ],
] as const) {
  test(`${name} is backed up and proven like any other`, async () => {
    using bench = openBench()
    const path = bench.path('empty.db')
    prepare(path)
    const engine = openEngine({ path }, bench.context())
    expect(await engine.probe(never)).toMatchObject({ size_bytes: statSync(path).size })
    const { copy } = await copied(bench, path)
    expect(readFileSync(copy).equals(readFileSync(path))).toBe(true)
    const checks = await engine.prove(copy, [], {}, never)
    expect(checks.every((check) => check.ok)).toBe(true)
  })
}

for (const page_size of FULL ? [4096, 65536] : [4096]) {
  test(`a database over 1 GiB, pages of ${page_size}: the page that SQLite never uses comes back as zeros`, async () => {
    using bench = openBench()
    const path = bench.path('large.db')
    growPastLockByte(path, page_size)
    const fd = openSync(path, 'r+')
    writeSync(fd, Buffer.alloc(page_size, 0xee), 0, page_size, LOCK_BYTE)
    closeSync(fd)
    await using sink = openFileSink(null)
    const { engine_facts } = await openEngine({ path }, bench.context()).snapshot(sink, never)
    expect(engine_facts['route']).toBe('freeze')
    expect(sink.size).toBe(statSync(path).size)
    expect(sink.size).toBeGreaterThan(LOCK_BYTE + page_size)
    expect(sink.digest()).toBe(digestWithZeros(path, page_size))
  })
}

/** Most of the file is a hole: free pages that nobody wrote. */
function growPastLockByte(path: string, pageSize: number): void {
  const application = new Database(path)
  application.pragma(`page_size = ${pageSize}`)
  application.pragma('journal_mode = WAL')
  application.exec('CREATE TABLE t (a)')
  application.close()
  const pages = LOCK_BYTE / pageSize + 3
  truncateSync(path, pages * pageSize)
  const fd = openSync(path, 'r+')
  const count = Buffer.alloc(4)
  count.writeUInt32BE(pages)
  writeSync(fd, count, 0, 4, 28)
  closeSync(fd)
  const again = new Database(path)
  again.exec(`INSERT INTO t SELECT randomblob(900) FROM ${SERIES}`)
  again.close()
}

const SERIES = '(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n)'

function digestWithZeros(path: string, pageSize: number): string {
  const bytes = readFileSync(path)
  bytes.fill(0, LOCK_BYTE, LOCK_BYTE + pageSize)
  return createHash('sha256').update(bytes).digest('hex')
}
