import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '@salvor/testkit/real/postgres'
import type { RestoreParts } from '@salvor/shared/ports/engine'
import { expect, test } from 'vitest'
import { backUp, contentOf, contextIn, never, temporaryFolder } from '../engine.fixture.ts'
import { adapter } from '../index.ts'

const newestHere = ([18, 17, 16, 15, 14, 13] as const).find((major) =>
  existsSync(`/usr/lib/postgresql/${major}/bin/pg_dump`),
)
if (newestHere === undefined) console.log('exports as SQL are not run: pg_dump is missing on this machine')
const HOSTILE = '../../etc/x'

test.skipIf(newestHere === undefined).each(['physical', 'logical'] as const)(
  'a %s backup becomes SQL that psql takes, and CSV that COPY takes',
  async (method) => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major: newestHere! })
    for (const sql of [
      `CREATE ROLE clerk`,
      `CREATE TABLE visits (id int PRIMARY KEY, note text, twice int GENERATED ALWAYS AS (id * 2) STORED)`,
      `INSERT INTO visits SELECT g, CASE WHEN g % 3 = 0 THEN NULL WHEN g % 3 = 1 THEN '' ELSE 'a "quoted", line' || chr(10) END FROM generate_series(1, 3000) g`,
      `ALTER TABLE visits OWNER TO clerk`,
      `CREATE TABLE "${HOSTILE}" AS SELECT 1 AS one`,
    ]) {
      await server.query(sql)
    }
    const engine = () => adapter.open(adapter.schema.parse({ url: server.url, method }), contextIn(folder.path))
    const artifact = join(folder.path, 'backup.tar')
    const { engine_facts } = await backUp(engine(), artifact)
    let count = 0
    const exported = async (format: 'sql' | 'csv', parts?: RestoreParts) => {
      const restored = join(folder.path, `restored-${++count}`)
      const out = join(folder.path, `out-${count}`)
      mkdirSync(out)
      await engine().restore(
        contentOf(artifact),
        { target: restored, in_place: false, engine_facts, tablespaces: 'inside' },
        never,
      )
      return { out, files: await engine().export!({ restored, folder: out, format, parts, engine_facts }, never) }
    }
    const psql = (database: string, ...args: string[]) =>
      spawnSync(
        `/usr/lib/postgresql/${newestHere}/bin/psql`,
        ['-X', '-q', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'postgres', '-d', database, ...args],
        { encoding: 'utf8' },
      )

    const sql = await exported('sql')
    expect(sql.files.map(({ file }) => file)).toEqual(['globals.sql', '0001-postgres.sql'])
    expect(readFileSync(join(sql.out, 'globals.sql'), 'utf8')).toContain('CREATE ROLE clerk')
    for (const { file } of sql.files) expect(readFileSync(join(sql.out, file), 'utf8')).not.toMatch(/salvor_/)
    const part = await exported('sql', { databases: ['postgres'], tables: ['public.visits'] })
    await server.query('CREATE DATABASE again')
    expect(psql('again', '-v', 'ON_ERROR_STOP=1', '-f', join(part.out, part.files[0]!.file)).stderr).toBe('')
    const fingerprint = `SELECT count(*) || md5(string_agg(v::text, '|' ORDER BY id)) FROM visits v`
    const wanted = psql('postgres', '-Atc', fingerprint).stdout
    expect(psql('again', '-Atc', fingerprint).stdout).toBe(wanted)
    expect(psql('again', '-Atc', `SELECT count(*) FROM pg_class WHERE relname = '${HOSTILE}'`).stdout.trim()).toBe('0')

    const csv = await exported('csv')
    for (const { file } of csv.files) expect(file).toMatch(/^0001-postgres\/\d{4}-[\w-]+\.[\w-]+\.csv$/)
    const visits = csv.files.find(({ what }) => what === 'postgres: public.visits')!
    expect(visits.rows).toBe(3000)
    await server.query('CREATE TABLE taken (id int, note text, twice int)')
    expect(
      psql('postgres', '-c', `\\copy taken FROM '${join(csv.out, visits.file)}' WITH (FORMAT csv, HEADER true)`).stderr,
    ).toBe('')
    const same = `SELECT count(*) FROM (TABLE taken EXCEPT ALL SELECT id, note, twice FROM visits) x`
    expect(psql('postgres', '-Atc', same).stdout.trim()).toBe('0')
    const wrong = method === 'physical' ? { tables: ['nothing'] } : { databases: ['nowhere'] }
    await expect(exported('csv', wrong)).rejects.toMatchObject({ code: 'USAGE' })
  },
)
