import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import type { PostgresMajor } from '@salvor/testkit/real/postgres-programs'
import type { Engine, RestoreParts, SnapshotFacts } from '@salvor/shared/ports/engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backUp, contentOf, contextIn, environmentOf, fileSink, never, temporaryFolder } from '../engine.fixture.ts'
import { adapter } from '../index.ts'
import { errorsIn } from './client-process.ts'
import { PART_BYTES } from './contents.ts'
import { dump } from './dump.ts'
import { CLIENT_FOLDERS, newestHere } from './dump-programs.fixture.ts'
import { DUMP_DEADLINES } from './environment.ts'
import { MemberWriter } from './member-writer.ts'
import { clientProgram } from './programs.ts'
import { statementsOf } from './statements.ts'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const newest = newestHere ?? 0
/** The oldest, and the newest whose client programs this machine has. */
const MAJORS: readonly PostgresMajor[] = FULL
  ? ([13, 14, 15, 16, 17, 18] as const).filter((major) => major <= newest)
  : newestHere === undefined
    ? []
    : [13, newestHere]
if (newestHere === undefined)
  console.log('logical dumps are not run: pg_dump is missing on this machine (apt install postgresql-client)')

const logical = (url: string, folder: string, more: object = {}): Engine =>
  adapter.open(
    adapter.schema.parse({ url, method: 'logical', ...more }),
    contextIn(folder, { server_programs: CLIENT_FOLDERS }),
  )

/** Names that would be paths, statements or patterns, were they trusted. */
const HOSTILE = '../../etc/x; DROP "y" \'z\''
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

async function fill(server: RealPostgres): Promise<void> {
  for (const sql of [
    `CREATE ROLE clerk LOGIN PASSWORD 'of-the-clerk'`,
    `ALTER ROLE clerk SET work_mem = '8MB'`,
    `COMMENT ON ROLE clerk IS 'one; two ''three'''`,
    `CREATE DATABASE app OWNER clerk`,
    `ALTER DATABASE app SET search_path = care, public`,
    `CREATE DATABASE ${quoted(HOSTILE)}`,
    `CREATE DATABASE scratchpad`,
  ]) {
    await server.query(sql)
  }
  await query(server, 'app', `CREATE SCHEMA care AUTHORIZATION clerk`)
  for (const sql of [
    `CREATE FUNCTION care.valid(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT i >= 0'`,
    `CREATE TABLE care.visits (id int PRIMARY KEY CHECK (care.valid(id)), note text)`,
    `INSERT INTO care.visits SELECT g, repeat(md5(g::text), 40) FROM generate_series(1, 20000) g`,
    `CREATE TABLE care.bills (id serial PRIMARY KEY, visit int REFERENCES care.visits, cents bigint)`,
    `INSERT INTO care.bills (visit, cents) SELECT g, g * 100 FROM generate_series(1, 500) g`,
    `CREATE INDEX ON care.visits (md5(note))`,
    `CREATE MATERIALIZED VIEW care.sums AS SELECT sum(cents) AS cents FROM care.bills`,
    `SELECT lo_from_bytea(0, 'a large object')`,
    `ALTER TABLE care.visits OWNER TO clerk`,
  ]) {
    await query(server, 'app', sql)
  }
  await query(server, HOSTILE, `CREATE TABLE ${quoted('a/../b')} AS SELECT 1 AS one`)
}

async function query(server: RealPostgres, database: string, sql: string): Promise<Record<string, unknown>[]> {
  const { Client } = (await import('pg')).default
  const client = new Client({ host: '127.0.0.1', port: server.port, user: 'postgres', database })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const inDatabase = (server: RealPostgres, name: string) =>
  `${server.url.replace(/\/postgres$/, '')}/${encodeURIComponent(name)}`

describe.each(MAJORS)('a logical backup of PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  const artifact = join(folder.path, 'dump.tar')
  let server: RealPostgres
  let facts: SnapshotFacts
  let other: RealPostgres
  const restores = FULL || major === newestHere
  beforeAll(async () => {
    if (restores) other = await startPostgres({ major: newestHere! })
    server = await startPostgres({ major })
    await fill(server)
    facts = await backUp(
      logical(inDatabase(server, 'app'), folder.path, { exclude_databases: ['scratchpad'] }),
      artifact,
    )
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    if (restores) await other[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })
  const restore = (target: string, parts?: RestoreParts) =>
    logical(server.url, folder.path).restore(
      contentOf(artifact),
      { target, in_place: false, engine_facts: facts.engine_facts, parts },
      never,
    )

  test('opens with tar, and its parts are a dump that pg_restore lists', async () => {
    const listed = spawnSync('tar', ['-tf', artifact], { encoding: 'utf8' })
    expect(`${listed.status} ${listed.stderr}`).toBe('0 ')
    const members = listed.stdout.trim().split('\n')
    expect(members.slice(0, 2)).toEqual(['contents.json', 'globals.sql'])
    expect(
      members.filter(
        (name) => !/^(contents\.json|globals\.sql|databases\/\d{4}-[\w-]*\/(dump\.\d{6}|end\.json))$/.test(name),
      ),
    ).toEqual([])
    const app = members.find((name) => name.includes('-app/dump.000000'))!
    const pgRestore = (await clientProgram('clinic', 'pg_restore', major, CLIENT_FOLDERS)).path
    const list = spawnSync('bash', ['-c', `tar -xOf ${artifact} ${app} | ${pgRestore} --list`], { encoding: 'utf8' })
    expect(list.stdout).toContain('TABLE DATA care visits clerk')
    expect(facts.engine_facts).toMatchObject({ method: 'logical', databases: 3 })
  })

  test('is proven by a cluster of its own: every object, every row, the checks of the source', async () => {
    const target = join(folder.path, 'files')
    await restore(target)
    const checks = await logical(inDatabase(server, 'app'), folder.path).prove(
      target,
      ['SELECT count(*) = 20000 FROM care.visits', 'SELECT false'],
      facts.engine_facts,
      never,
    )
    const found = Object.fromEntries(checks.map(({ name, ok, detail }) => [name, `${ok} ${detail}`]))
    expect(found['database app']).toMatch(/^true restored with every object; 2 tables have the rows counted/)
    expect(found[`database ${HOSTILE}`]).toMatch(/^true .*; 1 tables/)
    expect(found['check: SELECT count(*) = 20000 FROM care.visits']).toBe('true true')
    expect(found['check: SELECT false']).toBe('false not true')
    expect(found['server stops']).toBe('true in order')
  })

  test.runIf(restores)(
    'comes back into a running server: owners, settings and rows; never over what is there, and parts alone',
    async () => {
      await restore(other.url)
      expect(await query(other, 'app', 'SELECT count(*)::int AS n, max(id) AS m FROM care.visits')).toEqual([
        { n: 20_000, m: 20_000 },
      ])
      expect(await query(other, HOSTILE, `SELECT one FROM ${quoted('a/../b')}`)).toEqual([{ one: 1 }])
      const owners = await query(other, 'app', `SELECT tableowner FROM pg_tables WHERE tablename = 'visits'`)
      expect(owners).toEqual([{ tableowner: 'clerk' }])
      expect(await query(other, 'app', 'SHOW search_path')).toEqual([{ search_path: 'care, public' }])
      expect(
        await query(
          other,
          'app',
          `SELECT shobj_description(oid, 'pg_authid') AS said FROM pg_roles WHERE rolname = 'clerk'`,
        ),
      ).toEqual([{ said: `one; two 'three'` }])
      await expect(restore(other.url)).rejects.toMatchObject({ code: 'TARGET_NOT_EMPTY' })
      await expect(restore(other.url, { databases: ['nowhere'] })).rejects.toMatchObject({ code: 'USAGE' })
      await query(other, 'app', 'DROP TABLE care.bills CASCADE')
      await restore(other.url, { databases: ['app'], tables: ['care.bills'] })
      expect(await query(other, 'app', 'SELECT count(*)::int AS n FROM care.bills')).toEqual([{ n: 500 }])
      expect(await query(other, 'app', 'SELECT count(*)::int AS n FROM care.visits')).toEqual([{ n: 20_000 }])
    },
  )

  test('as a stream it is the tar of its dumps; it is not started as a server is', async () => {
    const engine = logical(server.url, folder.path)
    const chunks: Uint8Array[] = []
    const sink = async (chunk: Uint8Array): Promise<void> => void chunks.push(Buffer.from(chunk))
    const request = { engine_facts: facts.engine_facts }
    const { recovered_to } = await engine.restoreStream(contentOf(artifact), request, sink, never)
    expect(recovered_to).toBe(facts.engine_facts['consistent_at'])
    expect(Buffer.concat(chunks).equals(readFileSync(artifact))).toBe(true)
    await expect(engine.assertRecoverable!(facts.engine_facts)).rejects.toMatchObject({ code: 'USAGE' })
  })

  test.runIf(restores)(
    'a restore that breaks off drops the databases that it made, and an altered row count is found',
    async () => {
      for (const name of ['app', HOSTILE]) await other.query(`DROP DATABASE IF EXISTS ${quoted(name)}`)
      const bytes = readFileSync(artifact)
      const counted = bytes.indexOf('"rows": 20000')
      expect(counted).toBeGreaterThan(0)
      bytes.write('"rows": 20001', counted)
      const altered = join(folder.path, 'altered.tar')
      writeFileSync(altered, bytes)
      const engine = logical(server.url, folder.path)
      const request = { target: other.url, in_place: false, engine_facts: facts.engine_facts }
      await expect(engine.restore(contentOf(altered), request, never)).rejects.toThrow(
        /care.* has 20000 rows instead of 20001/,
      )
      writeFileSync(altered, bytes.subarray(0, Math.floor(bytes.length / 2)))
      await expect(engine.restore(contentOf(altered), request, never)).rejects.toMatchObject({ code: 'RESTORE_FAILED' })
      expect(await other.query(`SELECT FROM pg_database WHERE datname = 'app'`)).toEqual([])
      await expect(
        engine.restore(contentOf(artifact), { ...request, target: 'postgres://postgres:canary@127.0.0.1/x' }, never),
      ).rejects.toThrow(/holds a password/)
    },
  )
})

describe.skipIf(newestHere === undefined)('a logical backup', () => {
  test('keeps the password out of argv and environment, waits for no lock for ever, and leaves nothing when it is cut', async () => {
    using folder = temporaryFolder()
    await using server = await startPostgres({
      major: newestHere!,
      hba: ['host all reader 127.0.0.1/32 scram-sha-256'],
    })
    await server.query(`CREATE ROLE reader LOGIN PASSWORD 'canary:\\secret'`)
    await server.query('CREATE TABLE held (id int)')
    await server.query('CREATE TABLE "secret diary" AS SELECT 1 AS id')
    const url = `postgres://reader:${encodeURIComponent('canary:\\secret')}@127.0.0.1:${server.port}/postgres`
    using sink = fileSink(join(folder.path, 'cut.tar'))
    await expect(logical(url, folder.path).snapshot(sink, never)).rejects.toMatchObject({
      code: 'SOURCE_PRIVILEGE_MISSING',
      message: expect.stringContaining('permission denied for table'),
    })
    await server.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader')
    const { Client } = (await import('pg')).default
    const holder = new Client({ connectionString: server.url })
    holder.on('error', () => undefined)
    await holder.connect()
    await holder.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE')
    const cut = new AbortController()
    const taken = logical(url, folder.path).snapshot(sink, cut.signal)
    taken.catch(() => undefined)
    const pids = await waitFor(() => pgDumpsOf(folder.path))
    const seen = pids
      .map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1'))
      .join()
    expect(seen).toContain('PGPASSFILE')
    expect(seen).not.toContain('canary')
    cut.abort(new Error('cut'))
    await expect(taken).rejects.toThrow('cut')
    expect(pgDumpsOf(folder.path)).toBeNull()
    const context = contextIn(folder.path, { server_programs: CLIENT_FOLDERS })
    const env = { ...environmentOf(url, folder.path), context, choice: { databases: null, exclude: [] } }
    const dumpDeadlines = { ...DUMP_DEADLINES, lock_ms: 200 }
    await expect(dump({ ...env, dumpDeadlines }, sink, never)).rejects.toThrow(/locked a table for more than 0.2 s/)
    await expect(dump({ ...env, dumpDeadlines: { ...DUMP_DEADLINES, first_ms: 300 } }, sink, never)).rejects.toThrow(
      /pg_dump of postgres failed: it wrote nothing for 0 s/,
    )
    await holder.end()
    const facts = await backUp(logical(url, folder.path), join(folder.path, 'whole.tar'))
    expect(facts.engine_facts['role_passwords']).toBe(false)
    expect(facts.notices.join()).toContain('without their passwords')
    expect(readFileSync(join(folder.path, 'whole.tar'), 'latin1')).not.toContain('SCRAM-SHA-256$')
    const left = readdirSync(folder.path, { recursive: true }).map(String)
    expect(left.filter((name) => /passfile|pg_service/.test(name))).toEqual([])
  })

  test('of a server that is newer than every pg_dump here says which program is missing', async () => {
    const missing = clientProgram('clinic', 'pg_dump', 90, CLIENT_FOLDERS)
    await expect(missing).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
      hint: expect.stringContaining('apt install postgresql-client-90'),
    })
  })

  test('is bounded in memory: a part at a time, whatever the size of a database', async () => {
    const sizes: number[] = []
    const sink = {
      write: (chunk: Uint8Array) => void sizes.push(chunk.length),
      writeFile: () => Promise.reject(new Error()),
    }
    const writer = new MemberWriter(sink, 0)
    async function* much(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 100; i++) yield Buffer.alloc(700_001)
    }
    expect(await writer.parts('databases/0001-x', much(), () => undefined)).toEqual({ bytes: 70_000_100, parts: 5 })
    expect(Math.max(...sizes)).toBe(PART_BYTES)
  })
})

test('statements of pg_dumpall are cut outside of strings, and psql commands are dropped', () => {
  const sql = String.raw`\restrict abc
-- a comment; with 'one
CREATE ROLE "a;""b";
COMMENT ON ROLE x IS 'one; two ''three''
-- no comment';
COMMENT ON ROLE y IS E'back\'; slash\\';
\! touch /tmp/owned
ALTER ROLE z SET search_path TO 'a', 'b';
\unrestrict abc
`
  expect(statementsOf(sql)).toEqual([
    'CREATE ROLE "a;""b"',
    "COMMENT ON ROLE x IS 'one; two ''three''\n-- no comment'",
    String.raw`COMMENT ON ROLE y IS E'back\'; slash\\'`,
    "ALTER ROLE z SET search_path TO 'a', 'b'",
  ])
  expect(() => statementsOf("SELECT 'open")).toThrow(SyntaxError)
})

test('of what a program says, details and rows are dropped', () => {
  const words = `pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.
pg_dump: detail: Error message from server: ERROR:  invalid page in block 0 of relation base/5/16
DETAIL:  a row of somebody
pg_dump: detail: Command was: COPY public.t (id) TO stdout;`
  expect(errorsIn(words, 'pg_dump')).toEqual(['ERROR:  invalid page in block 0 of relation base/5/16'])
})

/** Programs whose files lie in this folder; null: none. */
function pgDumpsOf(folder: string): string[] | null {
  const pids = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return (
        readFileSync(`/proc/${name}/cmdline`, 'latin1').includes('pg_dump\0') &&
        readFileSync(`/proc/${name}/environ`, 'latin1').includes(folder)
      )
    } catch {
      return false
    }
  })
  return pids.length === 0 ? null : pids
}

async function waitFor<T>(look: () => T | null): Promise<T> {
  for (let i = 0; i < 400; i++) {
    const found = look()
    if (found !== null) return found
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('not seen within 10 s')
}
