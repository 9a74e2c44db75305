import { freePort, spawnPostgres, stopPostgres } from '@salvor/testkit/real/postgres-process'
import { postgresPrograms, serverUser } from '@salvor/testkit/real/postgres-programs'
import { POSTGRES_MAJORS, startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { settle } from '../data-folder/settle.ts'
import { backUp, contentOf, engineOf, fileSink, never, temporaryFolder } from '../engine.fixture.ts'

const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'
const MAJORS = POSTGRES_MAJORS.filter((major) => [13, 15, 18].includes(major))
const SUMS = 'SELECT (SELECT sum(n) FROM quick) = 500500 AND (SELECT sum(n) FROM cold) = 500500'

describe.each(MAJORS)('tablespaces of PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  let server: RealPostgres
  let facts: SnapshotFacts
  let fast = ''
  let slow = ''
  const engine = () => engineOf(server.url, folder.path)
  const request = (target: string, more: object = {}) => ({
    target,
    in_place: false,
    engine_facts: facts.engine_facts,
    ...more,
  })
  const oid = (location: string): string =>
    Object.entries(facts.engine_facts)
      .find(([, value]) => value === location)![0]
      .replace('tablespace_', '')

  beforeAll(async () => {
    chmodSync(folder.path, 0o711)
    server = await startPostgres({ major, initdb: ['--data-checksums'] })
    fast = join(server.folder, 'fast')
    // Names that a map, a shell and a tar could stumble over.
    slow = join(server.folder, 'slow "disk" \\ über')
    for (const place of [fast, slow]) {
      mkdirSync(place, { mode: 0o700 })
      if (serverUser.uid !== undefined) chownSync(place, serverUser.uid, serverUser.gid!)
    }
    await server.query(`CREATE TABLESPACE fast LOCATION '${fast}'`)
    await server.query(`CREATE TABLESPACE slow LOCATION '${slow}'`)
    for (const [table, space] of [
      ['quick', 'fast'],
      ['cold', 'slow'],
    ]) {
      await server.query(`CREATE TABLE ${table} TABLESPACE ${space} AS SELECT n FROM generate_series(1, 1000) AS n`)
    }
    facts = await backUp(engine(), file)
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  /** What a server with this data folder answers to `sql`, as the only value of its only row. */
  const asked = async (data: string, sql: string): Promise<unknown> => {
    const owner = serverUser.uid === undefined ? null : { uid: serverUser.uid, gid: serverUser.gid! }
    for (const name of readdirSync(join(data, 'pg_tblspc'))) {
      await settle(readlinkSync(join(data, 'pg_tblspc', name)), owner, never)
      if (owner) chownSync(dirname(readlinkSync(join(data, 'pg_tblspc', name))), owner.uid, owner.gid)
    }
    await settle(data, owner, never)
    const port = await freePort()
    const log = join(folder.path, 'server.log')
    rmSync(log, { force: true })
    const running = spawnPostgres(await postgresPrograms(major), data, port, log)
    try {
      await expect.poll(() => readFileSync(log, 'utf8'), { timeout: 20_000 }).toContain('ready to accept connections')
      const client = new Client({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres` })
      await client.connect()
      const { rows } = await client.query({ text: sql, rowMode: 'array' })
      await client.end()
      return rows[0]![0]
    } finally {
      await stopPostgres(running, data, 'fast')
    }
  }

  test('come in the one tar, below pg_tblspc, and their places in the manifest', () => {
    expect(facts.engine_facts['tablespaces']).toBe(2)
    const { stdout, stderr } = spawnSync('tar', ['-tf', file], { encoding: 'utf8' })
    expect(stderr).toBe('')
    const names = stdout.trim().split('\n')
    expect(names[0]).toMatch(/^pg_tblspc\/\d+\/PG_/)
    expect(names.at(-1)).toBe('backup_manifest')
    expect(names.filter((name) => name.startsWith(`pg_tblspc/${oid(slow)}/`)).length).toBeGreaterThan(2)
  })

  test('come back beside the target, with links to them, and a server finds everything', async () => {
    const target = join(folder.path, 'default', 'data')
    const { checks } = await engine().restore(contentOf(file, 10_007), request(target), never)
    expect(checks.find(({ name }) => name === 'tablespaces')?.detail).toContain(`${fast} at ${target}_tblspc/`)
    const links = readdirSync(join(target, 'pg_tblspc')).map((name) => readlinkSync(join(target, 'pg_tblspc', name)))
    expect(links.map(dirname)).toEqual([`${target}_tblspc`, `${target}_tblspc`])
    expect(existsSync(join(target, 'tablespace_map'))).toBe(false)
    expect(readdirSync(links[0]!)).toEqual([expect.stringMatching(/^PG_/)])
    // A server that Salvor runs on it finds them, and leaves everything to whom it belonged.
    const before = statSync(links[0]!).uid
    expect(await engine().recover!(target, null, never)).toMatchObject({ state: 'consistent', timeline: 1 })
    expect([statSync(links[0]!).uid, statSync(`${target}_tblspc`).uid]).toEqual([before, before])
    expect(await asked(target, SUMS)).toBe(true)
  })

  test.skipIf(major > 16 || !existsSync(VERIFY_BACKUP))('satisfy pg_verifybackup of PostgreSQL 15', async () => {
    const target = join(folder.path, 'verified')
    await engine().restore(contentOf(file), request(target), never)
    const { stdout, stderr } = spawnSync(VERIFY_BACKUP, ['-n', target], { encoding: 'utf8' })
    expect(stdout + stderr).toContain('backup successfully verified')
  })

  test('come back by tar, mv and ln, as RECOVERY.md says', async () => {
    const home = join(folder.path, 'by-hand')
    mkdirSync(join(home, 'places'), { recursive: true })
    const commands = `mkdir restored && tar -xf ../backup.tar -C restored && for oid in ${oid(fast)} ${oid(slow)}; do
      mv restored/pg_tblspc/$oid "$PWD/places/$oid" && ln -s "$PWD/places/$oid" restored/pg_tblspc/$oid || exit 1
    done; rm -f restored/tablespace_map; chmod 700 restored`
    expect(spawnSync('bash', ['-ec', commands], { cwd: home, encoding: 'utf8' })).toMatchObject({
      stderr: '',
      status: 0,
    })
    expect(await asked(join(home, 'restored'), SUMS)).toBe(true)
  })

  test('are proven in the sandbox, where nothing leads out of it', async () => {
    const target = join(folder.path, 'proven')
    await engine().restore(contentOf(file), request(target, { tablespaces: 'inside' }), never)
    // As a stream they are the same folders.
    const [tar, streamed] = [join(folder.path, 'streamed.tar'), join(folder.path, 'streamed')]
    const sink = async (chunk: Uint8Array): Promise<void> => appendFileSync(tar, chunk)
    await engine().restoreStream(contentOf(file, 10_007), { engine_facts: facts.engine_facts }, sink, never)
    mkdirSync(streamed)
    expect(spawnSync('tar', ['-xf', tar, '-C', streamed], { encoding: 'utf8' }).stderr).toBe('')
    expect(spawnSync('diff', ['-r', '-q', target, streamed], { encoding: 'utf8' }).stdout).toBe('')
    expect(existsSync(`${target}_tblspc`)).toBe(false)
    const checks = await engine().prove(target, [SUMS], facts.engine_facts, never)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  })

  test('come back where they were asked for, and nowhere else', async () => {
    const target = join(folder.path, 'mapped', 'data')
    const places = { [fast]: join(folder.path, 'mapped', 'a', 'b'), [slow]: join(folder.path, 'mapped', 'c') }
    mkdirSync(places[slow]!, { recursive: true })
    await engine().restore(contentOf(file), request(target, { tablespaces: places }), never)
    expect(readlinkSync(join(target, 'pg_tblspc', oid(fast)))).toBe(places[fast])
    expect(readlinkSync(join(target, 'pg_tblspc', oid(slow)))).toBe(places[slow])
    expect(readdirSync(dirname(target)).toSorted()).toEqual(['a', 'c', 'data'])
  })

  test('are not restored into a place that holds something, the data folder, each other or a name unknown', async () => {
    const home = join(folder.path, 'refused')
    const occupied = join(home, 'occupied')
    mkdirSync(occupied, { recursive: true })
    writeFileSync(join(occupied, 'letter'), 'mine')
    const target = join(home, 'data')
    for (const [places, reason] of [
      [{ [fast]: occupied }, 'not empty'],
      [{ [fast]: join(occupied, 'letter') }, 'not a folder'],
      [{ [fast]: join(target, 'inner') }, 'restored to, too'],
      [{ [fast]: home }, 'restored to, too'],
      [{ [fast]: join(home, 'x'), [slow]: join(home, 'x') }, 'restored to, too'],
      [{ [fast]: 'relative' }, 'absolute'],
      [{ '/srv/other': join(home, 'x') }, `the backup has ${fast}`],
    ] as const) {
      const restoring = engine().restore(contentOf(file), request(target, { tablespaces: places }), never)
      await expect(restoring).rejects.toMatchObject({
        code: 'TABLESPACE_REFUSED',
        message: expect.stringContaining(reason),
      })
      expect(readdirSync(home)).toEqual(['occupied'])
    }
    expect(readFileSync(join(occupied, 'letter'), 'utf8')).toBe('mine')
  })

  test('leave nothing behind when a bit of them is wrong', async () => {
    const bytes = readFileSync(file)
    const at = bytes.indexOf('PG_', 512)
    const broken = join(folder.path, 'broken.tar')
    // In the last block of the first data file of a tablespace.
    const data = bytes.indexOf(Buffer.from([0xe8, 3, 0, 0]), at)
    bytes.writeUInt8(0xe9, data)
    writeFileSync(broken, bytes)
    const home = join(folder.path, 'wrong')
    mkdirSync(home)
    const restoring = engine().restore(contentOf(broken), request(join(home, 'data')), never)
    await expect(restoring).rejects.toMatchObject({ code: 'RESTORE_FAILED' })
    expect(readdirSync(home)).toEqual([])
  })

  test('come back to their own places in place; the former ones and their data folder are kept, and work', async () => {
    await server.query('DELETE FROM quick; DELETE FROM cold')
    await server.stop()
    using sink = fileSink(join(folder.path, 'offline.tar'))
    const offline = await engine().offlineSnapshot(server.dataDir, sink, never)
    expect(offline.engine_facts).toMatchObject({ tablespaces: 2, [`tablespace_${oid(slow)}`]: slow })
    const { checks } = await engine().restore(contentOf(file), request(server.dataDir, { in_place: true }), never)
    expect(readlinkSync(join(server.dataDir, 'pg_tblspc', oid(slow)))).toBe(slow)
    await server.start()
    expect(await server.query(SUMS)).toEqual([{ '?column?': true }])
    await server.stop()
    const kept = /kept at (\S+) and /.exec(checks.at(-1)!.detail)![1]!
    expect(await asked(kept, 'SELECT (SELECT count(*) FROM quick) + (SELECT count(*) FROM cold)')).toBe('0')
    await server.start()
    expect(await server.query(SUMS)).toEqual([{ '?column?': true }])

    const undone = join(folder.path, 'undone')
    const undo = { target: undone, in_place: false, engine_facts: offline.engine_facts }
    await engine().restore(contentOf(sink.file), undo, never)
    expect(await asked(undone, 'SELECT (SELECT count(*) FROM quick) + (SELECT count(*) FROM cold)')).toBe('0')
  })
})

test('in-place tablespaces, a setting for developers, are files of the data folder', async () => {
  using folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  await using server = await startPostgres({ major: 18, settings: { allow_in_place_tablespaces: 'on' } })
  await server.query("CREATE TABLESPACE here LOCATION ''")
  await server.query('CREATE TABLE quick TABLESPACE here AS SELECT n FROM generate_series(1, 1000) AS n')
  const engine = engineOf(server.url, folder.path)
  const facts = await backUp(engine, file)
  expect(facts.engine_facts['tablespaces']).toBeUndefined()
  const target = join(folder.path, 'data')
  await engine.restore(contentOf(file), { target, in_place: false, engine_facts: facts.engine_facts }, never)
  const checks = await engine.prove(target, ['SELECT sum(n) = 500500 FROM quick'], facts.engine_facts, never)
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
})
