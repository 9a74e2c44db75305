import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { nativeMeans } from './chain.fixture.ts'

const TABLES = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 100_000 : 1_000
/** As a task's process has them. */
const LIMITS = ['--max-old-space-size=128', '--max-semi-space-size=4']
/** A process of Node that runs from sources takes some 100 MB of it. */
const MOST_MB = 220

test(`a cluster with as many files as tables is backed up, chained, restored, laid over and merged in bounded memory`, async () => {
  const settings = { summarize_wal: 'on', autovacuum: 'off', max_locks_per_transaction: String(TABLES / 50) }
  await using server = await startPostgres({
    major: 18,
    settings,
    initdb: ['--data-checksums'],
    ...nativeMeans(18).start,
  })
  using folder = temporaryFolder()
  const create = (first: number, count: number) =>
    server.query(`DO $$ BEGIN FOR i IN ${first}..${first + count - 1} LOOP
      EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$`)
  await create(1, TABLES)
  const args = [server.url, folder.path]
  const child = fork(new URL('./many-files.fixture.ts', import.meta.url), args, {
    execArgv: ['--conditions=source', ...LIMITS],
  })
  const peaks: number[] = []
  const perform = async (step: string): Promise<void> => {
    child.send(step)
    const [said] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [unknown]
    expect(said).toMatchObject({ step })
    const { seconds, peak_mb } = said as { seconds: number; peak_mb: number }
    console.log(`${TABLES} tables, ${step}: ${seconds} s, up to ${peak_mb} MB`)
    peaks.push(peak_mb)
  }
  try {
    await perform('full')
    await server.query('DROP TABLE t7')
    await server.query('INSERT INTO t8 SELECT generate_series(1, 1000)')
    await create(TABLES + 1, TABLES / 20)
    await perform('increment')
    await perform('restore')
    await perform('delta')
    await perform('merge')
    await perform('restore merged')
  } finally {
    child.kill('SIGKILL')
  }
  const [restored, merged] = [join(folder.path, 'restored'), join(folder.path, 'merged')]
  const { stdout } = spawnSync('diff', ['-rq', '-x', 'backup_manifest', restored, merged], { encoding: 'utf8' })
  expect(stdout).toBe('')
  const [row] = await server.query(
    `SELECT pg_relation_filepath('t8') AS path, count(*) AS tables FROM pg_class WHERE relkind = 'r'`,
  )
  const files = spawnSync('find', [restored, '-path', '*/base/*', '-type', 'f'], { encoding: 'utf8', maxBuffer: 1e9 })
  expect(files.stdout).toContain(String(row!['path']))
  expect(files.stdout.split('\n').length).toBeGreaterThan(TABLES * 1.05)
  expect(Math.max(...peaks)).toBeLessThan(MOST_MB)
}, 1_800_000)
