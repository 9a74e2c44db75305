import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { serverUser } from '@salvor/testkit/real/postgres-programs'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backUp, contentOf, engineOf, never, temporaryFolder } from '../engine.fixture.ts'
import { contentsOf } from './delta.fixture.ts'

const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'

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
  }, 60_000)
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('makes of a damaged folder what a plain restore gives, and writes little', async () => {
    await restore()
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
    if (existsSync(VERIFY_BACKUP)) {
      const verified = spawnSync(VERIFY_BACKUP, ['--no-parse-wal', target], { encoding: 'utf8' })
      expect(verified.stderr + verified.stdout).toContain('successfully verified')
    }
    expect(Number(/^(\d+)/.exec((await delta()).checks[0]!.detail)?.[1])).toBeGreaterThan(900)
    expect(contentsOf(target)).toEqual(contentsOf(plain))
  }, 60_000)
})
