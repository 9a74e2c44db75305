import { globSync, readFileSync, rmSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { makeHome } from './salvor.ts'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const GB = Number(process.env['SALVOR_TEST_LARGE_GB'] ?? 20)
const TPS = Number(process.env['SALVOR_TEST_LARGE_TPS'] ?? 2_000)
const BYTES_OF_ROW = 4_400
/** The database, and beside it the copy aside and what is stored of it, later what is stored and what is restored. */
const ROOM = 2.5
const LOOK_MS = 1_000

const CONFIG = `
stores:
  local: { kind: local, path: ./backups }
worker: { threads: 2 }
sandbox_dir: ./sandbox
sources:
  clinic: { engine: sqlite, path: ./clinic.db, verify: { full: none } }
`

test('a database of 20 GB under 2,000 transactions a second is backed up without filling its disk with a log, and comes back whole', async (context) => {
  if (!FULL) context.skip('runs at the full counts only')
  const { bavail, bsize } = await statfs(tmpdir())
  const needed = ROOM * GB * 1e9
  if (bavail * bsize < needed) context.skip(`needs ${Math.ceil(needed / 1e9)} GB of room in ${tmpdir()}`)
  await using home = await makeHome()
  const path = home.path('clinic.db')
  createClinic(path, { rows: Math.ceil((GB * 1e9) / BYTES_OF_ROW) })
  await home.configure(CONFIG)
  await using writer = await startWriter(path, { tps: TPS })
  await pause(3_000)
  const before = await writer.stats()
  let log = 0
  const watch = setInterval(() => {
    log = Math.max(log, statSync(`${path}-wal`).size)
  }, LOOK_MS)
  const begun = performance.now()
  const taken = await home.run('backup', 'clinic', '--json').finally(() => clearInterval(watch))
  const seconds = Math.round((performance.now() - begun) / 1000)
  const after = await writer.stop()
  expect(taken.code, taken.stdout + taken.stderr).toBe(0)
  const locks = lockFacts(home.path('backups/clinic'))
  const restored = await home.run('restore', 'clinic', '--to', home.path('back.db'))
  expect(restored.code, restored.stderr).toBe(0)
  rmSync(home.path('backups'), { recursive: true })
  expect(assertInvariant(home.path('back.db')).transactions).toBeGreaterThanOrEqual(before.committed)
  expect(after.errors).toBe(0)
  const { committed, p50_ms, p99_ms, max_ms } = after
  process.stdout.write(
    `${JSON.stringify({ GB, TPS, seconds, log_mb: log / 1e6, committed, p50_ms, p99_ms, max_ms, ...locks })}\n`,
  )
})

/** How often writers were kept out, and for how long, as the manifest tells it. */
function lockFacts(folder: string): Record<string, unknown> {
  const [manifest] = globSync(`${folder}/*.manifest.json`)
  const { engine_facts } = JSON.parse(readFileSync(String(manifest), 'utf8')) as { engine_facts: object }
  return Object.fromEntries(Object.entries(engine_facts).filter(([name]) => name.startsWith('lock_')))
}
