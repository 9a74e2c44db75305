import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { Increment, ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { SqlValue, StateReader } from '@salvor/shared/ports/reading'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { fileFrames } from '@salvor/testkit/fakes/file-frames'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { openEngine } from '../index.ts'

const never = new AbortController().signal

/** Artifacts of a database and of what changed in it, taken by the engine into plain files. */
class Taken {
  readonly #bench: Bench
  readonly #path: string
  readonly files: string[] = []
  #last: SnapshotFacts | null = null

  constructor(bench: Bench, path: string) {
    this.#bench = bench
    this.#path = path
  }
  async take(change?: string): Promise<void> {
    if (change !== undefined) {
      const database = new Database(this.#path)
      database.exec(change)
      database.close()
    }
    const file = this.#bench.path(`artifact-${this.files.length}`)
    await using sink = openFileSink(file)
    const engine = openEngine({ path: this.#path }, this.#bench.context())
    this.#last =
      this.#last === null
        ? await engine.snapshot(sink, never)
        : await engine.snapshotChanges!(this.#parent(this.#last), sink, { skipUnchanged: false }, never)
    this.files.push(file)
  }
  frames(frameBytes?: number) {
    return this.files.map((file) => fileFrames(file, frameBytes))
  }
  open(frames: readonly ArtifactFrames[] = this.frames()): Promise<StateReader> {
    const [full, ...increments] = frames
    const engine = openEngine({ path: '' }, this.#bench.context('desk'))
    return engine.openState!({ full: full!, increments }, never)
  }
  /** The same with what changed as change sets, the newest first, but for the first `increments`, which stay artifacts of their own. */
  openLaid(increments: number): Promise<StateReader> {
    const [full, ...frames] = this.frames()
    const changes = this.files.slice(1 + increments).map((file) => setOf(file))
    const engine = openEngine({ path: '' }, this.#bench.context('desk'))
    const state = { full: full!, increments: frames.slice(0, increments), changes: changes.toReversed() }
    return engine.openState!(state, never)
  }
  /** The database as it is now, in one file. */
  main(): Buffer {
    const database = new Database(this.#path)
    database.pragma('wal_checkpoint(TRUNCATE)')
    database.close()
    return readFileSync(this.#path)
  }
  #parent({ consistent_at, engine_facts, digests }: SnapshotFacts): ParentBackup {
    return { id: 'parent', consistent_at, engine_facts, digests: digests! }
  }
}

function setOf(file: string): Increment {
  const chunks = async function* () {
    yield readFileSync(file)
  }
  const content = { size: 0, chunks, writeTo: () => Promise.reject(new Error('no whole database')) }
  return { id: file, consistent_at: '', engine_facts: {}, open: (work) => work(content) }
}

async function rowsOf(state: StateReader, sql: string, signal = never): Promise<SqlValue[][]> {
  const rows: SqlValue[][] = []
  for await (const part of state.query(sql, signal)) if ('rows' in part) rows.push(...part.rows.map((row) => [...row]))
  return rows
}

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'resolved',
    (error: unknown) => (error instanceof SalvorError ? `${error.code} ${error.message}` : String(error)),
  )
}

async function served(state: StateReader): Promise<Buffer> {
  const pages: Buffer[] = []
  for (const [data] of await rowsOf(state, 'SELECT data FROM sqlite_dbpage ORDER BY pgno')) {
    pages.push(Buffer.from(data as Uint8Array))
  }
  return Buffer.concat(pages)
}

test.each([
  [512, 'wal'],
  [4096, 'delete'],
  [65_536, 'wal'],
] as const)(
  'every page of a state is that of the database then, pages of %i bytes (%s)',
  async (page_size, journal) => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 400, page_size, journal, auto_vacuum: 'incremental' })
    const taken = new Taken(bench, path)
    const steps = [
      undefined,
      'UPDATE patients SET seen = seen + 1 WHERE id % 7 = 0; CREATE TABLE added (x); INSERT INTO added VALUES (1)',
      'DELETE FROM images; PRAGMA incremental_vacuum',
      'INSERT INTO visits SELECT NULL, patient_id, at, reason, findings FROM visits',
    ]
    for (const step of steps) {
      await taken.take(step)
      await using state = await taken.open(taken.frames(65_536))
      const bytes = await served(state)
      const main = taken.main()
      expect(bytes.length).toBe(main.length)
      expect(bytes.equals(main)).toBe(true)
      const database = new Database(path, { readonly: true })
      const sql = 'SELECT count(*), sum(seen), (SELECT max(findings) FROM visits) FROM patients'
      expect(await rowsOf(state, sql)).toEqual(database.prepare(sql).raw().all())
      expect(await rowsOf(state, 'PRAGMA integrity_check')).toEqual([['ok']])
      database.close()
      for (const increments of step === steps.at(-1) ? [0, 1] : []) {
        await using laid = await taken.openLaid(increments)
        expect((await served(laid)).equals(main)).toBe(true)
      }
    }
  },
)

test('only the frames that a query needs are read, and few to know what an increment has', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000 })
  const taken = new Taken(bench, path)
  await taken.take()
  await taken.take('UPDATE patients SET notes = notes || id')
  const frames = taken.frames(16_384)
  await using state = await taken.open(frames)
  expect(await rowsOf(state, 'SELECT name FROM patients WHERE id = 1000')).toHaveLength(1)
  const [full, increment] = frames
  expect(statSync(taken.files[0]!).size / 16_384).toBeGreaterThan(300)
  expect(full!.asked.length).toBeLessThan(8)
  expect(statSync(taken.files[1]!).size / 16_384).toBeGreaterThan(20)
  expect(increment!.asked.length).toBeLessThan(8)
})

test('full-text search, text of every kind, large numbers and statements in a row are answered', async () => {
  using bench = openBench()
  const path = bench.path('notes.db')
  const database = new Database(path)
  database.exec(`CREATE VIRTUAL TABLE notes USING fts5(body, tokenize = 'porter');
    INSERT INTO notes VALUES ('the patient was running'), ('x-ray of the knee'), ('Grüße 北京');
    CREATE TABLE kinds (a, b, c, d, e); INSERT INTO kinds VALUES (9007199254740993, 1.5, NULL, x'00ff', 'ok')`)
  database.close()
  const taken = new Taken(bench, path)
  await taken.take()
  await using state = await taken.open()
  expect(await rowsOf(state, "SELECT body FROM notes WHERE notes MATCH 'run'")).toEqual([['the patient was running']])
  expect(await rowsOf(state, "SELECT count(*) FROM notes('北京')")).toEqual([[1]])
  const sql = '-- all of them\nSELECT * FROM kinds; SELECT 2; '
  expect(await rowsOf(state, sql)).toEqual([[9_007_199_254_740_993n, 1.5, null, Uint8Array.of(0, 255), 'ok'], [2]])
})

test('whatever does more than read is refused, nothing but the state is reached, and the reader goes on', async () => {
  using bench = openBench()
  const path = bench.path('desk.db')
  createClinic(path, { rows: 50 })
  const other = bench.path('other.db')
  const secret = new Database(other)
  secret.exec('CREATE TABLE secret (x)')
  secret.close()
  const taken = new Taken(bench, path)
  await taken.take()
  await using state = await taken.open()
  for (const sql of [
    'DELETE FROM patients',
    'INSERT INTO patients (name, born) VALUES (1, 2)',
    'CREATE TABLE more (x)',
    'CREATE TEMP TABLE more (x)',
    'CREATE VIRTUAL TABLE more USING fts5(x)',
    'DROP TABLE patients',
    'PRAGMA user_version = 7',
    'PRAGMA journal_mode = WAL',
    'PRAGMA writable_schema = ON',
    `ATTACH '${other}' AS other`,
    `ATTACH 'file:${other}?vfs=unix' AS other`,
    "ATTACH ':memory:' AS other",
    `VACUUM INTO '${bench.path('copy.db')}'`,
    'VACUUM',
    'BEGIN EXCLUSIVE',
    'REINDEX',
    'SELECT 1; UPDATE patients SET seen = 0',
  ]) {
    expect(await failureOf(rowsOf(state, sql)), sql).toMatch(/^QUERY_REFUSED desk: /)
  }
  for (const sql of ['SELECT nothing', 'SELEC 1', "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')"]) {
    expect(await failureOf(rowsOf(state, sql)), sql).toMatch(/^QUERY_FAILED desk: /)
  }
  expect(await rowsOf(state, 'SELECT count(*) FROM patients')).toEqual([[50]])
  expect(await rowsOf(state, 'PRAGMA user_version')).toEqual([[0]])
})

test('a query is ended by whoever asked, in the middle of its rows or of its work, and the next is answered', async () => {
  using bench = openBench()
  const path = bench.path('desk.db')
  createClinic(path, { rows: 300 })
  const taken = new Taken(bench, path)
  await taken.take()
  await using state = await taken.open()
  for await (const part of state.query('SELECT a.* FROM visits a, visits b', never)) if ('rows' in part) break
  const forever = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n'
  const stop = AbortSignal.timeout(100)
  expect(await failureOf(rowsOf(state, forever, stop))).toMatch(/^INTERRUPTED/)
  expect(await rowsOf(state, 'SELECT count(*) FROM visits')).toEqual([[1500]])
})

test('a frame that cannot be had fails the query, and the others are answered; what is no database is refused', async () => {
  using bench = openBench()
  const path = bench.path('desk.db')
  createClinic(path, { rows: 500 })
  const taken = new Taken(bench, path)
  await taken.take()
  const [good] = taken.frames()
  const last = Math.floor((good!.size - 1) / good!.frame_bytes)
  const bad = new SalvorError('ARTIFACT_CORRUPT', { key: 'desk/x', reason: `frame ${last}`, source: 'desk' })
  await using state = await taken.open([
    { ...good!, frame: (n, into, signal) => (n === last ? Promise.reject(bad) : good!.frame(n, into, signal)) },
  ])
  const every = 'SELECT count(*), sum(length(data)) FROM sqlite_dbpage'
  expect(await failureOf(rowsOf(state, every))).toBe(`ARTIFACT_CORRUPT desk/x: frame ${last}`)
  expect(await rowsOf(state, 'SELECT name FROM patients WHERE id = 3')).toHaveLength(1)

  const nothing = bench.path('nothing')
  writeFileSync(nothing, '')
  await using empty = await taken.open([fileFrames(nothing)])
  expect(await rowsOf(empty, 'SELECT count(*) FROM sqlite_schema')).toEqual([[0]])

  const noise = bench.path('noise')
  writeFileSync(noise, Buffer.alloc(200_000, 0xa5))
  expect(await failureOf(taken.open([fileFrames(noise)]))).toMatch(/^READING_UNSUPPORTED desk: .* does not begin/)
  const wide = bench.path('wide.db')
  const database = new Database(wide)
  database.exec("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x); INSERT INTO t VALUES ('ä')")
  database.close()
  expect(await failureOf(taken.open([fileFrames(wide)]))).toMatch(/^READING_UNSUPPORTED desk: .* UTF-16/)
  const cut = bench.path('cut')
  writeFileSync(cut, Buffer.from('{"format":"salvor-pages","version":1,"page_size":4096,"page_count":9}\n\0\0\0\x02'))
  expect(await failureOf(taken.open([good!, fileFrames(cut)]))).toMatch(/^ARTIFACT_CORRUPT .*ends within a group/)
})
