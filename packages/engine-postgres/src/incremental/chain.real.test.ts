import { POSTGRES_MAJORS, startPostgres, type PostgresMajor, type RealPostgres } from '@salvor/testkit/real/postgres'
import { RECOVER_SCRIPT } from '@salvor/repository/recover-script'
import { newerPrograms, serverUser, type NewerMajor } from '@salvor/testkit/real/postgres-programs'
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentsOf } from '../delta/delta.fixture.ts'
import { temporaryFolder } from '../engine.fixture.ts'
import { ChainOfBackups, differences, nativeMeans, type Link } from './chain.fixture.ts'

const PYTHON = spawnSync('python3', ['--version']).status === 0
const ALL_MERGES = process.env['SALVOR_TEST_COUNTS'] === 'full'
const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const KINDS: readonly (readonly [PostgresMajor, 'native' | 'pages'])[] = POSTGRES_MAJORS.flatMap((major) => [
  ...(major >= 17 ? [[major, 'native'] as const] : []),
  ...(FULL || [13, 15, 18].includes(major) ? [[major, 'pages'] as const] : []),
])

/** What happens to relations between two backups. */
const STEPS: readonly string[][] = [
  [
    'UPDATE patients SET name = name || $$!$$ WHERE id % 97 = 0',
    'CREATE TABLE visits2 AS SELECT g AS id, repeat($$x$$, 100) AS note FROM generate_series(1, 20000) g',
    'CREATE INDEX ON visits2 (id)',
    'DROP TABLE doomed',
  ],
  [
    'DELETE FROM visits WHERE id > 15000',
    'VACUUM visits',
    'TRUNCATE emptied',
    'INSERT INTO emptied SELECT g, $$again$$ FROM generate_series(1, 50) g',
    'INSERT INTO patients SELECT g, $$new $$ || g FROM generate_series(50001, 60000) g',
    'VACUUM FREEZE patients',
  ],
  [
    'INSERT INTO visits SELECT g, g, $$back$$ FROM generate_series(15001, 40000) g',
    'CREATE DATABASE other STRATEGY file_copy',
    'ALTER TABLE visits2 ADD COLUMN more int DEFAULT 7',
    'CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS n',
    'REINDEX TABLE patients',
  ],
]

describe.each(KINDS)('a chain of incrementals of PostgreSQL %i, %s', (major, kind) => {
  const folder = temporaryFolder()
  let server: RealPostgres
  let chain: ChainOfBackups
  const means = kind === 'native' ? nativeMeans(major) : { start: {}, versionGates: [], programs: [] }
  const { versionGates, programs } = means
  const [newer = null] = programs
  beforeAll(async () => {
    const settings = major >= 17 ? { summarize_wal: 'on', autovacuum: 'off' } : { autovacuum: 'off' }
    server = await startPostgres({ major, initdb: ['--data-checksums'], settings, ...means.start })
    const incrementals = kind === 'pages' ? 'pages' : 'auto'
    chain = new ChainOfBackups(server.url, folder.path, { versionGates, incrementals }, programs)
    const place = join(server.folder, 'elsewhere')
    mkdirSync(place)
    if (serverUser.uid !== undefined) chownSync(place, serverUser.uid, serverUser.gid!)
    await server.query(`CREATE TABLESPACE elsewhere LOCATION '${place}'`)
    for (const sql of [
      'CREATE TABLE patients (id int PRIMARY KEY, name text)',
      'INSERT INTO patients SELECT g, $$Patient $$ || g FROM generate_series(1, 50000) g',
      'CREATE TABLE visits (id int PRIMARY KEY, patient int, note text) TABLESPACE elsewhere',
      'INSERT INTO visits SELECT g, g, $$first$$ FROM generate_series(1, 40000) g',
      'CREATE TABLE doomed AS SELECT g FROM generate_series(1, 10000) g',
      'CREATE TABLE emptied AS SELECT g, $$old$$ AS t FROM generate_series(1, 10000) g',
      'VACUUM',
    ])
      await server.query(sql)
    await chain.full()
    for (const step of STEPS) {
      for (const sql of step) await server.query(major < 15 ? sql.replace(' STRATEGY file_copy', '') : sql)
      await chain.increment()
    }
  }, 120_000)
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('is taken in that way, stores little, and says so', () => {
    const [full, ...increments] = chain.links
    expect(increments.map(({ facts }) => facts.engine_facts['incremental'])).toEqual([kind, kind, kind])
    for (const { file } of increments) expect(statSync(file).size).toBeLessThan(statSync(full!.file).size)
    const listed = spawnSync('tar', ['-tf', increments[0]!.file], { encoding: 'utf8' })
    expect(listed.stderr).toBe('')
    expect(listed.stdout).toContain('/INCREMENTAL.')
    expect(listed.stdout.trim().split('\n').at(-1)).toBe('backup_manifest')
  })

  test('comes back byte for byte like a full that was taken of the same state, and a server opens it', async () => {
    const target = join(folder.path, 'restored')
    const { recovered_to } = await chain.restore(target)
    expect(recovered_to).toBe(chain.links.at(-1)!.facts.consistent_at)
    const fresh = new ChainOfBackups(server.url, folder.path, { versionGates })
    await fresh.full()
    const beside = join(folder.path, 'beside')
    await fresh.restore(beside)
    // What the gates are for: servers below them forget that pages are no longer all-visible.
    const forgetful = kind === 'native' && (await versionNum(server)) < (KNOWN_BAD[major] ?? 0)
    const stale = (name: string) => name.endsWith('_vm') && bitsLost(join(target, name), join(beside, name)) === 0
    expect(differences(target, beside).filter((name) => !forgetful || !stale(name))).toEqual([])
    expect(readFileSync(join(target, 'backup_label'), 'utf8')).not.toContain('INCREMENTAL')
    const checks = [
      'SELECT count(*) = 60000 FROM patients',
      'SELECT count(*) = 40000 FROM visits',
      'SELECT count(*) = 50 FROM emptied',
      'SELECT sum(more) = 140000 FROM visits2',
    ]
    // The proof sees it, too.
    const failed = await chain.prove(target, checks)
    expect(failed.map(({ name, detail }) => `${name}: ${detail.split(':')[0]}`)).toEqual(
      forgetful ? ['visibility maps: postgres'] : [],
    )
  })

  const laidOver = ALL_MERGES || (kind === 'native' && major === 18)
  test.runIf(laidOver)(
    'is laid over an older state, and over itself, page by page',
    async () => {
      const plain = join(folder.path, 'plain')
      await chain.restore(plain)
      const files = (root: string) => contentsOf(root).filter((line) => !line.startsWith('backup_manifest '))
      const target = join(folder.path, 'older')
      await chain.restore(target, { increments: [] })
      expect(files(target)).not.toEqual(files(plain))
      const said = async () => (await chain.restore(target, { delta: 'same' })).checks[0]!.detail
      const older = writtenIn(await said())
      expect(files(target)).toEqual(files(plain))
      // What a server left there, and a page that it never wrote.
      await chain.prove(target)
      const [table] = contentsOf(target).filter((line) => / [1-9]\d{6} /.test(line) && line.startsWith('base/'))
      const path = join(target, table!.split(' ')[0]!)
      const bytes = readFileSync(path)
      bytes.fill(0xff, bytes.length - 20_000)
      writeFileSync(path, bytes)
      expect(writtenIn(await said())).toBeLessThan(older)
      expect(files(target)).toEqual(files(plain))
      expect(writtenIn(await said())).toBeLessThan(1_000_000)
    },
    60_000,
  )

  const merges = ALL_MERGES || (kind === 'native' ? major === 18 : major === 15)
  test.runIf(merges)('is merged to a full of the same files, on which the next incremental stands', async () => {
    const merged = await chain.merged()
    const [tip] = merged.links as [Link]
    expect(tip.facts.engine_facts).not.toHaveProperty('incremental')
    const listed = spawnSync('tar', ['-tf', tip.file], { encoding: 'utf8' })
    expect(listed.stderr).toBe('')
    expect(listed.stdout).not.toContain('INCREMENTAL')
    expect(listed.stdout).not.toContain('doomed')
    expect(listed.stdout.trim().split('\n').at(-1)).toBe('backup_manifest')
    const [target, beside] = [join(folder.path, 'merged'), join(folder.path, 'not-merged')]
    await merged.restore(target)
    await chain.restore(beside)
    expect(everyDifference(target, beside)).toBe('')
    expect(major > 16 || !existsSync(VERIFY_BACKUP) ? VERIFIED : saidOf(target)).toContain(VERIFIED)
    await server.query('UPDATE patients SET name = $$after$$ WHERE id < 100')
    const { facts } = await merged.increment()
    expect(facts.engine_facts['incremental']).toBe(kind)
    const [again, next] = [join(folder.path, 'merged-again'), join(folder.path, 'on-merged')]
    await merged.restore(next)
    await (await merged.merged()).restore(again)
    expect(everyDifference(again, next)).toBe('')
    if (kind === 'pages') return
    const failed = await merged.prove(next, ['SELECT count(*) = 99 FROM patients WHERE name = $$after$$'])
    expect(failed.filter(({ name }) => name !== 'visibility maps')).toEqual([])
  })

  let folders: string[] | null = null
  const unpacked = (): string[] => (folders ??= chain.unpacked())

  test.runIf(kind === 'native')(
    'comes back byte for byte as pg_combinebackup puts it together, and pg_verifybackup agrees',
    async ({ skip }) => {
      skip(newer === null, newerPrograms(major as NewerMajor).missing)
      const [theirs, target] = [join(folder.path, 'theirs'), join(folder.path, 'ours')]
      expect(saidBy(join(newer!, 'pg_combinebackup'), ['-N', '-o', theirs, ...unpacked()])).toBe('')
      await chain.restore(target)
      expect(everyDifference(target, theirs, SETTLED)).toBe('')
      expect(filesNamedIn(target)).toEqual(filesNamedIn(theirs))
      // With its WAL, which it reads.
      expect(saidBy(join(newer!, 'pg_verifybackup'), [target])).toContain(VERIFIED)
    },
  )

  test.skipIf(!PYTHON)('is put together by recover.py from what tar unpacks, without Salvor', async () => {
    const script = join(folder.path, 'recover.py')
    writeFileSync(script, RECOVER_SCRIPT)
    const folders = unpacked()
    const out = join(folder.path, 'recovered')
    const { status, stderr } = spawnSync('python3', [script, out, ...folders], { encoding: 'utf8' })
    expect(`${status} ${stderr}`).toBe('0 ')
    const target = join(folder.path, 'compared')
    await chain.restore(target)
    expect(differences(out, target)).toEqual([])
    const labels = [out, target].map((path) => readFileSync(join(path, 'backup_label'), 'utf8'))
    expect(labels[0]).toBe(labels[1])
    const wrong = spawnSync('python3', [script, join(folder.path, 'wrong'), folders[0]!, folders[2]!], {
      encoding: 'utf8',
    })
    expect(kind === 'native' ? wrong.stderr : 'does not stand on').toContain('does not stand on')
  })

  test.skipIf(major > 16 || !existsSync(VERIFY_BACKUP))('satisfies pg_verifybackup of PostgreSQL 15', async () => {
    const target = join(folder.path, 'verified')
    await chain.restore(target)
    expect(saidOf(target)).toContain(VERIFIED)
  })
})

const VERIFIED = 'backup successfully verified'

const saidOf = (target: string): string => saidBy(VERIFY_BACKUP, ['-n', target])

function saidBy(program: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } })
  return stdout + stderr
}

/** Path, size and checksum of each line of a manifest, WAL left out: pg_combinebackup lists that, too. */
function filesNamedIn(target: string): string[] {
  const { Files } = JSON.parse(readFileSync(join(target, 'backup_manifest'), 'utf8')) as {
    Files: { Path: string; Size: number; Checksum?: string }[]
  }
  const named = Files.filter(({ Path }) => !Path.startsWith('pg_wal/') && !SETTLED.includes(Path))
  return named.map(({ Path, Size, Checksum }) => `${Path} ${Size} ${Checksum}`).toSorted()
}

/** The manifest names its files in another order and the time of its making. */
const everyDifference = (one: string, other: string, but: readonly string[] = []): string => {
  const left = ['backup_manifest', ...but].flatMap((name) => ['-x', name])
  return spawnSync('diff', ['-rq', ...left, one, other], { encoding: 'utf8' }).stdout
}

/** What a restore writes otherwise: archive_mode is put off in the one, and tablespaces lie inside. */
const SETTLED = ['postgresql.auto.conf', 'tablespace_map']

/** First good minor, as server_version_num. */
const KNOWN_BAD: Partial<Record<PostgresMajor, number>> = { 17: 170_011, 18: 180_006 }

async function versionNum(server: RealPostgres): Promise<number> {
  const [row] = await server.query('SHOW server_version_num')
  return Number(row?.['server_version_num'])
}

/** Bits that are set in `right` and not in `wrong`, behind the head of each page. */
function bitsLost(wrong: string, right: string): number {
  const [a, b] = [readFileSync(wrong), readFileSync(right)]
  if (a.length !== b.length) return Infinity
  return b.filter((byte, i) => i % 8192 >= 24 && (byte & ~a[i]!) !== 0).length
}

const writtenIn = (detail: string): number => Number(/, (\d+) bytes were written/.exec(detail)?.[1])
