import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, createReadStream, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { RecoveryWal } from '@salvor/shared/ports/engine'
import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { segmentStart } from '@salvor/shared/vocabulary/wal'
import { type PostgresMajor, startPostgres, startRestored, type RealPostgres } from '@salvor/testkit/real/postgres'
import { serverUser } from '@salvor/testkit/real/postgres-programs'
import { afterAll, describe, expect, test } from 'vitest'
import { settle } from '../data-folder/settle.ts'
import { contentsOf, refusedByVerifyBackup } from '../delta/delta.fixture.ts'
import { engineOf, never, temporaryFolder } from '../engine.fixture.ts'
import { ChainOfBackups, nativeMeans } from '../incremental/chain.fixture.ts'

const SEGMENT = 16 * 1024 * 1024
const ODD = 'odd "one" é'
const OTHERS = ['billing', ODD]
const ALL = process.env['SALVOR_TEST_COUNTS'] === 'full'
/** Without checksums, the visibility map's records do not bring the page of the table. */
const CASES: readonly [PostgresMajor, string[], 'pages' | 'auto'][] = ALL
  ? [
      [13, [], 'pages'],
      [14, ['--data-checksums'], 'pages'],
      [15, [], 'pages'],
      [16, [], 'pages'],
      [17, ['--data-checksums'], 'auto'],
      [18, ['--data-checksums'], 'auto'],
      [18, ['--no-data-checksums'], 'pages'],
    ]
  : [[13, [], 'pages']]

async function inDatabase(server: RealPostgres, database: string, ...statements: string[]): Promise<unknown[]> {
  const client = new Client({ host: server.host, port: server.port, user: server.superuser, database })
  await client.connect()
  try {
    let rows: unknown[] = []
    for (const sql of statements) ({ rows } = await client.query(sql))
    return rows
  } finally {
    await client.end()
  }
}

/** All WAL that a stopped server has. */
const walOf = ({ dataDir }: RealPostgres): RecoveryWal[] =>
  readdirSync(join(dataDir, 'pg_wal')).flatMap((name) => {
    const start = /^[0-9A-F]{24}$/.test(name) ? segmentStart(name, SEGMENT) : null
    const open = () => createReadStream(join(dataDir, 'pg_wal', name))
    return start === null ? [] : [{ name, start_lsn: lsnText(start), segment_size: SEGMENT, open }]
  })

describe.each(CASES)('selected databases of PostgreSQL %i %s, increments: %s', (major, initdb, incrementals) => {
  const folder = temporaryFolder()
  let server: RealPostgres
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('come back to an instant while the others are left out, whatever was written into them', async () => {
    const settings = {
      autovacuum: 'off',
      wal_keep_size: '2GB',
      max_wal_size: '2GB',
      ...(major >= 17 && { summarize_wal: 'on' }),
    }
    const { start, versionGates } = incrementals === 'auto' ? nativeMeans(major) : { start: {}, versionGates: [] }
    server = await startPostgres({ major, initdb, settings, ...start })
    const place = join(server.folder, 'elsewhere')
    mkdirSync(place)
    if (serverUser.uid !== undefined) chownSync(place, serverUser.uid, serverUser.gid!)
    await server.query(`CREATE TABLESPACE elsewhere LOCATION '${place}'`)
    for (const database of ['app', ...OTHERS]) {
      await server.query(`CREATE DATABASE "${database.replaceAll('"', '""')}"`)
      await inDatabase(
        server,
        database,
        'CREATE TABLE busy AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 8000) g',
        'CREATE INDEX ON busy USING hash (word)',
        'CREATE INDEX ON busy (id)',
        'CREATE TABLE quiet TABLESPACE elsewhere AS SELECT g AS id, repeat($$q$$, 50) AS t FROM generate_series(1, 9000) g',
        'CREATE TABLE doomed AS SELECT g FROM generate_series(1, 9000) g',
      )
    }
    const load = { on: true }
    const writer = async (database: string): Promise<void> => {
      for (let n = 0; load.on; n++)
        await inDatabase(
          server,
          database,
          `INSERT INTO busy SELECT g, md5(g::text) FROM generate_series(${n * 100}, ${n * 100 + 300}) g`,
          `DELETE FROM busy WHERE id % 50 = ${n % 50}`,
          `UPDATE busy SET word = md5(word) WHERE id % 70 = ${n % 70}`,
        )
    }
    const writers = ['app', 'billing'].map(writer)
    const engine = engineOf(server.url, folder.path)
    const chain = new ChainOfBackups(server.url, folder.path, { versionGates, incrementals })
    await chain.full()
    const { facts } = await chain.increment()
    expect(facts.engine_facts['incremental']).toBe(incrementals === 'auto' ? 'native' : 'pages')
    for (const database of ['app', ...OTHERS])
      await inDatabase(
        server,
        database,
        'VACUUM',
        'DROP TABLE doomed',
        'CREATE TABLE fresh AS SELECT * FROM quiet',
        'VACUUM FULL quiet',
        'DELETE FROM busy WHERE id % 3 = 0',
        'VACUUM busy',
        'TRUNCATE fresh',
      )
    load.on = false
    await Promise.all(writers)
    const sum = 'SELECT count(*) AS n, sum(hashtext(word)::bigint) AS words FROM busy'
    const wanted = await inDatabase(server, 'app', sum)
    await server.query("SELECT pg_create_restore_point('here')")
    for (const database of ['app', ...OTHERS]) await inDatabase(server, database, 'DELETE FROM busy', 'VACUUM busy')
    await server.stop()

    const recovery = {
      target: { kind: 'name', name: 'here' },
      timeline: 1,
      pause: false,
      recovers_to: facts.consistent_at,
      last_commit_lsn: null,
      wal: walOf(server),
    } as const
    chmodSync(folder.path, 0o711)
    const target = join(folder.path, 'restored')
    const selected = (...databases: string[]) => ({ parts: { databases }, recovery, tablespaces: undefined })
    await expect(chain.restore(target, selected('app', 'ap'))).rejects.toMatchObject({
      code: 'USAGE',
      message: `the backup has no database "ap"; it has app, billing, ${ODD}, postgres, template0, template1`,
    })
    expect(existsSync(target)).toBe(false)
    const { checks } = await chain.restore(target, selected('app'))
    const said = checks.find(({ name }) => name === 'databases')?.detail
    expect(said).toContain(
      `not restored: billing, ${ODD}. Once the server runs: DROP DATABASE "billing"; DROP DATABASE`,
    )
    const room = Number(spawnSync('du', ['-sk', join(target, 'base')], { encoding: 'utf8' }).stdout.split('\t')[0])
    const length = contentsOf(join(target, 'base')).reduce((bytes, line) => bytes + Number(line.split(' ')[1] ?? 0), 0)
    expect(room * 1024).toBeLessThan(length * 0.8)
    expect(major < 17 ? refusedByVerifyBackup(target) : '').toBe('')

    const files = () => contentsOf(target).filter((line) => !line.startsWith('backup_manifest '))
    const before = files()
    await engine.recover!(target, recovery, never)
    await chain.restore(target, { ...selected('app'), delta: 'same' })
    expect(files()).toEqual(before)
    await engine.recover!(target, recovery, never)
    const owner = serverUser.uid === undefined ? null : { uid: serverUser.uid, gid: serverUser.gid! }
    await settle(`${target}_tblspc`, owner, never)
    await using restored = await startRestored(major, target)
    expect(await inDatabase(restored, 'app', sum)).toEqual(wanted)
    await inDatabase(restored, 'app', 'REINDEX DATABASE app', 'VACUUM')
    await expect(inDatabase(restored, 'billing', 'SELECT 1')).rejects.toThrow(/relation mapping file/)
    for (const sql of said!.slice(said!.indexOf('DROP')).split('; ')) await restored.query(sql)
    const names = await restored.query('SELECT datname FROM pg_database ORDER BY 1')
    expect(names.map(({ datname }) => datname)).toEqual(['app', 'postgres', 'template0', 'template1'])
  }, 120_000)
})
