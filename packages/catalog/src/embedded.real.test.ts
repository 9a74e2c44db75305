import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog'
import { codeOf, enqueueCopy } from '@salvor/testkit/contracts/catalog-samples'
import SQLite from 'better-sqlite3'
import { expect, test } from 'vitest'
import { openCatalog } from './open-catalog.ts'

const WRITER = fileURLToPath(new URL('./writer.fixture.ts', import.meta.url))
const ROUNDS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 100 : 8

const open = (data_dir: string) => openCatalog({ url: null, data_dir, ids: testIds(), holderAlive: sampleHolderAlive })

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'salvor-catalog-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

function startWriter(data_dir: string, count: number) {
  const child = spawn(process.execPath, ['--conditions=source', WRITER, data_dir, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const ended = once(child, 'close')
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  return { child, lines, ended }
}

/** What lies in each of the four tables that a writer's transaction writes, by its name. */
function written(data_dir: string): string[][] {
  using database = Object.assign(new SQLite(join(data_dir, 'catalog.db')), {
    [Symbol.dispose](this: SQLite.Database) {
      this.close()
    },
  })
  const names = (sql: string) => database.prepare<[], string>(sql).pluck().all().sort()
  return [
    names('select source from runs'),
    names('select source from claims'),
    names('select subject from outbox'),
    names('select object from audit'),
  ]
}

test('processes that open a new catalog at once make it once', async () => {
  using folder = temporary()
  const data_dir = join(folder.path, 'data')
  const writers = Array.from({ length: 5 }, () => startWriter(data_dir, 5))
  for (const { ended } of writers) expect(await ended).toEqual([0, null])
  expect(new Set(writers.map(({ lines }) => lines[0])).size).toBe(1)
  const [runs, ...others] = written(data_dir)
  expect(runs).toEqual(writers.flatMap(({ lines }) => lines.slice(1)).sort())
  for (const rows of others) expect(rows).toEqual(runs)
  const catalog = await open(data_dir)
  expect(await catalog.verifyAudit()).toBeNull()
  await catalog.close()
})

test('kill -9 in the middle of writing leaves each transaction whole or absent, and none that was acknowledged lost', async () => {
  using folder = temporary()
  const acknowledged: string[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const writers = [startWriter(folder.path, 1e6), startWriter(folder.path, 1e6)]
    while (writers.some(({ lines }) => lines.length < 2 + round)) await sleep(1)
    await sleep((round * 7) % 11)
    for (const { child } of writers) child.kill('SIGKILL')
    for (const { ended } of writers) expect(await ended).toEqual([null, 'SIGKILL'])
    acknowledged.push(...writers.flatMap(({ lines }) => lines.slice(1)))
    const catalog = await open(folder.path)
    expect(await catalog.verifyAudit()).toBeNull()
    await catalog.close()
    const [runs, ...others] = written(folder.path)
    for (const rows of others) expect(rows).toEqual(runs)
    expect(runs).toEqual(expect.arrayContaining(acknowledged))
  }
})

test('folder and files are for their owner only', async () => {
  using folder = temporary()
  const data_dir = join(folder.path, 'a', 'data')
  const catalog = await open(data_dir)
  await enqueueCopy(catalog)
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
  const files = readdirSync(data_dir).sort()
  expect(files).toEqual(['catalog.db', 'catalog.db-shm', 'catalog.db-wal'])
  expect(mode(data_dir)).toBe('700')
  expect(files.map((file) => mode(join(data_dir, file)))).toEqual(['600', '600', '600'])
  await catalog.close()
})

test('a lock that another process keeps stops writes after 10 s, and neither reads nor the event loop', async () => {
  using folder = temporary()
  const catalog = await open(folder.path)
  const other = new SQLite(join(folder.path, 'catalog.db'))
  other.exec('begin immediate')
  const writing = codeOf(enqueueCopy(catalog))
  let longest = 0
  for (let step = 0; step < 50; step += 1) {
    const began = performance.now()
    await sleep(10)
    expect(await catalog.runs({})).toEqual([])
    longest = Math.max(longest, performance.now() - began)
  }
  expect(longest).toBeLessThan(2_000)
  expect(await writing).toBe('CATALOG_UNREACHABLE')
  other.exec('rollback')
  other.close()
  await enqueueCopy(catalog)
  expect(await catalog.runs({})).toHaveLength(1)
  await catalog.close()
})

test('a write waits for a lock that is given back in time', async () => {
  using folder = temporary()
  const catalog = await open(folder.path)
  const other = new SQLite(join(folder.path, 'catalog.db'))
  other.exec('begin immediate')
  const writing = enqueueCopy(catalog)
  await sleep(200)
  other.exec('rollback')
  other.close()
  expect(await writing).toMatchObject({ state: 'queued' })
  await catalog.close()
})

test('a file that is not a database, or damaged, is named as such', async () => {
  using folder = temporary()
  writeFileSync(
    join(folder.path, 'catalog.db'),
    'a text that somebody put here, long enough to be read as a header'.repeat(99),
  )
  expect(await codeOf(open(folder.path))).toBe('CATALOG_DAMAGED')
})

test('a data_dir that can not be made says so', async () => {
  using folder = temporary()
  writeFileSync(join(folder.path, 'file'), '')
  expect(await codeOf(open(join(folder.path, 'file')))).toBe('CATALOG_UNREACHABLE')
  mkdirSync(join(folder.path, 'data', 'catalog.db'), { recursive: true })
  expect(await codeOf(open(join(folder.path, 'data')))).toBe('CATALOG_UNREACHABLE')
})

const small = mkdtempSync(join(tmpdir(), 'salvor-small-'))
const mountable = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', small]).status === 0
if (mountable) spawnSync('umount', [small])
rmSync(small, { recursive: true })

test.skipIf(!mountable)(
  'a full disk refuses writes as such, keeps what was there, and is over when there is room',
  async () => {
    using folder = temporary()
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', folder.path]).status).toBe(0)
    try {
      const catalog = await open(join(folder.path, 'data'))
      const kept = await enqueueCopy(catalog)
      writeFileSync(join(folder.path, 'ballast'), Buffer.alloc(300_000))
      const fill = async () => {
        for (;;)
          await catalog.transaction({ service: 'cli' }, (tx) =>
            tx.openIncident(crypto.randomUUID(), null, 'x'.repeat(20_000)),
          )
      }
      expect(await codeOf(fill())).toBe('CATALOG_FULL')
      const incidents = await catalog.openIncidents()
      expect(incidents.length).toBeGreaterThan(0)
      expect(await catalog.run(kept.id)).toEqual(kept)
      unlinkSync(join(folder.path, 'ballast'))
      await enqueueCopy(catalog)
      expect(await catalog.runs({})).toHaveLength(2)
      expect(await catalog.openIncidents()).toEqual(incidents)
      await catalog.close()
    } finally {
      spawnSync('umount', [folder.path])
    }
  },
)
