import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { postgresPrograms, serverUser } from '@salvor/testkit/real/postgres-programs'
import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backUp, contentOf, engineOf, never, temporaryFolder } from '../engine.fixture.ts'
import { settle } from '../data-folder/settle.ts'
import { contentsOf, refusedByVerifyBackup } from './delta.fixture.ts'

describe('a delta restore', () => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  const plain = join(folder.path, 'plain')
  const target = join(folder.path, 'target')
  let server: RealPostgres
  let facts: SnapshotFacts
  const engine = () => engineOf(server.url, folder.path)
  const { engine_facts: _, ...base } = { target, in_place: false, engine_facts: {} }
  const restore = (more: object = {}) =>
    engine().restore(contentOf(file), { ...base, engine_facts: facts.engine_facts, ...more }, never)
  const delta = (more: object = {}) => restore({ delta: 'same', ...more })
  beforeAll(async () => {
    server = await startPostgres({ major: 15, initdb: ['--data-checksums'] })
    const place = join(server.folder, 'elsewhere')
    mkdirSync(place)
    if (serverUser.uid !== undefined) chownSync(place, serverUser.uid, serverUser.gid!)
    for (const sql of [
      `CREATE TABLESPACE elsewhere LOCATION '${place}'`,
      'CREATE TABLE patients AS SELECT g AS id, repeat($$p$$, 100) AS name FROM generate_series(1, 20000) g',
      'CREATE TABLE visits TABLESPACE elsewhere AS SELECT g AS id FROM generate_series(1, 20000) g',
    ])
      await server.query(sql)
    facts = await backUp(engine(), file)
    await restore({ target: plain })
    await restore()
  }, 60_000)
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('makes of a damaged folder what a plain restore gives, and writes little', async () => {
    const files = (below: string) =>
      readdirSync(join(target, below))
        .filter((name) => /^\d+$/.test(name))
        .sort()
    const database = join('base', files('base').at(-1)!)
    const [flipped, cut, grown, lost, linked, shared, folded] = files(database).map((name) =>
      join(target, database, name),
    )
    const bytes = readFileSync(flipped!)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(flipped!, bytes)
    truncateSync(cut!, 8192)
    appendFileSync(grown!, Buffer.alloc(20_000, 7))
    rmSync(lost!)
    renameSync(linked!, join(folder.path, 'out-of-it'))
    symlinkSync(join(folder.path, 'out-of-it'), linked!)
    linkSync(shared!, join(folder.path, 'snapshot'))
    rmSync(folded!)
    mkdirSync(folded!)
    writeFileSync(join(folded!, 'x'), 'x')
    writeFileSync(join(target, database, '999999'), 'of another state')
    mkdirSync(join(target, 'base', '77777'))
    writeFileSync(join(target, 'base', '77777', '1'), 'x')
    rmSync(join(target, 'pg_xact'), { recursive: true })
    writeFileSync(join(target, 'pg_wal', '0000000100000000000000FF'), 'stale')
    writeFileSync(join(target, 'postmaster.opts'), 'x')
    const place = join(`${target}_tblspc`, readdirSync(`${target}_tblspc`)[0]!)
    mkdirSync(join(place, 'PG_99_202600000'))
    const [version] = readdirSync(place).filter((name) => name.startsWith('PG_15'))
    const [oid] = readdirSync(join(place, version!))
    const [visits] = readdirSync(join(place, version!, oid!))
    truncateSync(join(place, version!, oid!, visits!), 0)
    writeFileSync(join(place, version!, oid!, '888'), 'x')
    const outside = readFileSync(join(folder.path, 'out-of-it'))
    const inode = readFileSync(join(folder.path, 'snapshot'))
    const { checks } = await delta()
    expect(checks[0]?.detail).toMatch(
      /^\d+ of \d+ files were right \(\d+ bytes\), \d+ bytes were written, \d+ files removed$/,
    )
    rmSync(join(place, 'PG_99_202600000'), { recursive: true })
    expect(contentsOf(target)).toEqual(contentsOf(plain))
    expect(readFileSync(join(folder.path, 'out-of-it')).equals(outside)).toBe(true)
    expect(readFileSync(join(folder.path, 'snapshot')).equals(inode)).toBe(true)
    const written = Number(/, (\d+) bytes were written/.exec(checks[0]!.detail)?.[1])
    expect(written).toBeLessThan(3_000_000)
    expect(refusedByVerifyBackup(target)).toBe('')
    expect(Number(/^(\d+)/.exec((await delta()).checks[0]!.detail)?.[1])).toBeGreaterThan(900)
    expect(contentsOf(target)).toEqual(contentsOf(plain))
  }, 60_000)

  const rounds = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 30 : 3
  test('killed at any moment leaves a folder that no server starts in, and a second one completes it', async () => {
    const { size } = statSync(file)
    chmodSync(folder.path, 0o711)
    const owner = serverUser.uid === undefined ? null : { uid: serverUser.uid, gid: serverUser.gid! }
    for (const tree of [target, `${target}_tblspc`]) await settle(tree, owner, never)
    const postgres = join(await postgresPrograms(15), 'postgres')
    const said: string[] = []
    let unfinished = 0
    for (let round = 0; round < rounds; round++) {
      const [table] = readdirSync(join(target, 'base', '1')).filter((name) => /^\d+$/.test(name))
      writeFileSync(join(target, 'base', '1', table!), 'torn')
      rmSync(join(target, 'pg_xact'), { recursive: true })
      writeFileSync(join(target, 'base', '1', '4711'), 'stray')
      const behind = round % 2 === 1
      const at = String(behind ? size : Math.floor(((round + 1) * size) / (rounds + 2)))
      const script = fileURLToPath(new URL('./killed-delta.fixture.ts', import.meta.url))
      const args = [
        server.url,
        folder.path,
        file,
        target,
        JSON.stringify(facts.engine_facts),
        at,
        behind ? `${(round * 40) % 600}` : '0',
      ]
      const killed = spawnSync(process.execPath, ['--conditions=source', script, ...args], { encoding: 'utf8' })
      if (killed.signal !== 'SIGKILL' && killed.status !== 0) said.push(killed.stderr)
      if (existsSync(join(target, '.salvor-delta', 'mark.json'))) {
        unfinished++
        if (existsSync(join(target, 'global', 'pg_control'))) said.push('pg_control is there')
        const begun = spawnSync(postgres, ['-D', target], { ...serverUser, encoding: 'utf8' })
        if (!begun.stderr.includes('could not find the database system')) said.push(begun.stderr)
        // Nor is it taken for an empty folder.
        said.push(await restore().then(String, (error: SalvorError) => error.code.replace('TARGET_NOT_EMPTY', '')))
      }
      await delta()
      expect(contentsOf(target)).toEqual(contentsOf(plain))
    }
    expect(said.filter((line) => line !== '')).toEqual([])
    expect(unfinished).toBeGreaterThan(rounds / 2 - 1)
  }, 600_000)

  test('refuses a server at work, another delta restore, another cluster and what is no data folder, and changes nothing', async () => {
    const refused = async (more: object, code: string, message: RegExp): Promise<void> => {
      await expect(delta(more)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    }
    await refused({ target: server.dataDir }, 'TARGET_IN_USE', /a PostgreSQL server/)
    const home = join(folder.path, 'home')
    mkdirSync(join(home, 'base'), { recursive: true })
    writeFileSync(join(home, 'letter'), 'mine')
    await refused({ target: home, delta: 'any' }, 'DELTA_REFUSED', /not the data folder of a PostgreSQL server/)
    expect(readFileSync(join(home, 'letter'), 'utf8')).toBe('mine')
    mkdirSync(join(target, '.salvor-delta'))
    const mark = { system_id: facts.engine_facts['system_id'], pid: process.ppid, started: null }
    writeFileSync(join(target, '.salvor-delta', 'mark.json'), JSON.stringify(mark))
    await refused({}, 'TARGET_IN_USE', /a delta restore/)
    rmSync(join(target, '.salvor-delta'), { recursive: true })
    const control = readFileSync(join(target, 'global', 'pg_control'))
    const other = Buffer.from(control)
    other.writeBigUInt64LE(4711n, 0)
    writeFileSync(join(target, 'global', 'pg_control'), other)
    await refused({}, 'DELTA_REFUSED', /another cluster \(system identifier 4711/)
    rmSync(join(target, 'global', 'pg_control'))
    await refused({}, 'DELTA_REFUSED', /does not tell to which cluster/)
    expect(existsSync(join(target, '.salvor-delta'))).toBe(false)
    await delta({ delta: 'any' })
    expect(contentsOf(target)).toEqual(contentsOf(plain))
    const fresh = join(folder.path, 'fresh')
    await delta({ target: fresh })
    expect(contentsOf(fresh).length).toBe(contentsOf(plain).length)
  }, 60_000)

  test('recovers to a target like any other restore, and its server is started', async () => {
    const recovery = { timeline: 1, pause: false, recovers_to: facts.consistent_at, last_commit_lsn: null, wal: [] }
    const latest = { ...recovery, target: { kind: 'latest' } } as const
    chmodSync(folder.path, 0o711)
    await delta({ recovery: latest })
    const reached = await engine().recover!(target, latest, never)
    expect(reached).toMatchObject({ state: 'promoted', timeline: 2 })
    await delta()
    expect(contentsOf(target)).toEqual(contentsOf(plain))
  }, 60_000)
})
