import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'

const never = new AbortController().signal
const noPython = spawnSync('python3', ['--version']).error !== undefined
if (noPython) console.log('exported SQL is not read by another SQLite: python3 is missing on this machine')
const HOSTILE = `../../etc/x"; DROP TABLE 'y`

function makeOdd(path: string): void {
  const database = new Database(path)
  database.exec(`
    PRAGMA user_version = 42;
    PRAGMA application_id = 7;
    CREATE TABLE patients (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, born REAL, photo BLOB, upper_name TEXT AS (upper(name)) STORED);
    CREATE INDEX by_name ON patients (name);
    CREATE VIEW named AS SELECT id FROM patients WHERE name IS NOT NULL;
    CREATE TABLE log (what TEXT);
    CREATE TRIGGER told AFTER INSERT ON patients BEGIN INSERT INTO log VALUES ('in'); END;
    CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE VIRTUAL TABLE notes USING fts5(body);
    CREATE TABLE "${HOSTILE.replaceAll('"', '""')}" (one);
  `)
  const insert = database.prepare('INSERT INTO patients (name, born, photo) VALUES (?, ?, ?)')
  for (const [name, born, photo] of [
    [`O'Brien, "Pat"\nline`, 0.1 + 0.2, Buffer.from([0, 255, 10])],
    ['', 1e300, null],
    [null, Number.POSITIVE_INFINITY, Buffer.alloc(0)],
    ['nul\0inside', -1.5, null],
  ] as const) {
    insert.run(name, born, photo)
  }
  database.prepare('INSERT INTO pairs VALUES (?, ?)').run(9007199254740993n, 'x')
  database.exec(
    `INSERT INTO notes VALUES ('a cat sat'), ('a dog ran'); DELETE FROM patients WHERE id = 2; INSERT INTO "${HOSTILE.replaceAll('"', '""')}" VALUES (1)`,
  )
  database.close()
}

async function exported(bench: Bench, format: 'sql' | 'csv', tables?: readonly string[]) {
  const folder = bench.path(`out-${format}${tables?.length ?? ''}`)
  mkdirSync(folder)
  const engine = openEngine({ path: bench.path('source.db') }, bench.context())
  const parts = tables && { tables }
  const files = await engine.export!({ restored: bench.path('odd.db'), folder, format, parts, engine_facts: {} }, never)
  return { folder, files }
}

test.skipIf(noPython)(
  'exported SQL makes the same database in another SQLite: rows, keys, triggers, search',
  async () => {
    using bench = openBench()
    makeOdd(bench.path('odd.db'))
    const { folder, files } = await exported(bench, 'sql')
    expect(files).toMatchObject([{ file: 'database.sql' }])
    const script = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript(open(sys.argv[2], encoding='utf-8').read())
db.close()
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM notes WHERE notes MATCH 'cat'").fetchone()[0], db.execute('PRAGMA integrity_check').fetchone()[0])`
    const run = spawnSync('python3', ['-c', script, bench.path('new.db'), join(folder, 'database.sql')], {
      encoding: 'utf8',
    })
    expect(`${run.stdout}${run.stderr}`).toBe('1 ok\n')
    const [before, after] = ['odd.db', 'new.db'].map((name) => {
      using database = open(bench.path(name))
      const all = (sql: string) => database.db.prepare(sql).raw().safeIntegers().all()
      return [
        all(`SELECT id, name, hex(CAST(name AS BLOB)), born, photo, upper_name FROM patients ORDER BY id`),
        all('SELECT * FROM pairs'),
        all('SELECT * FROM log'),
        all(`SELECT * FROM "${HOSTILE.replaceAll('"', '""')}"`),
        all(`SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name`),
        all('SELECT * FROM sqlite_sequence'),
        database.db.pragma('user_version'),
        database.db.pragma('application_id'),
      ]
    })
    expect(after).toEqual(before)
  },
)

test('exported CSV has a file for each table, under names that are no paths, and keeps NULL apart from an empty text', async () => {
  using bench = openBench()
  makeOdd(bench.path('odd.db'))
  const { folder, files } = await exported(bench, 'csv')
  expect(readdirSync(folder).toSorted()).toEqual(files.map(({ file }) => file).toSorted())
  for (const { file } of files) expect(file).toMatch(/^\d{4}-[\w-]+\.csv$/)
  const patients = files.find(({ what }) => what === 'patients')!
  expect(patients.rows).toBe(3)
  expect(readFileSync(join(folder, patients.file), 'utf8')).toBe(
    'id,name,born,photo,upper_name\n1,"O\'Brien, ""Pat""\nline",0.30000000000000004,\\x00ff0a,"O\'BRIEN, ""PAT""\nLINE"\n3,,Infinity,\\x,\n4,nul\0inside,-1.5,,NUL\0INSIDE\n',
  )
  const pairs = files.find(({ what }) => what === 'pairs')!
  expect(readFileSync(join(folder, pairs.file), 'utf8')).toBe('a,b\n9007199254740993,x\n')
  const one = await exported(bench, 'csv', ['log'])
  expect(one.files.map(({ what }) => what)).toEqual(['log'])
  await expect(exported(bench, 'sql', ['no such', 'table'])).rejects.toMatchObject({ code: 'USAGE' })
})

function open(path: string): Disposable & { readonly db: Database.Database } {
  const db = new Database(path, { readonly: true })
  return { db, [Symbol.dispose]: () => db.close() }
}
