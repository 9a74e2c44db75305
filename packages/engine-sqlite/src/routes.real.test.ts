import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { LIMITS } from './config.ts'
import { openEngine } from './index.ts'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const never = new AbortController().signal

test('a report that keeps an old snapshot open for hours does not keep backups from being taken', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000 })
  await using report = await openElsewhere(path)
  await report.exec('BEGIN')
  await report.get('SELECT count(*) FROM visits')
  await using writer = await startWriter(path, { tps: 200 })
  await pause(200)
  await using sink = openFileSink(bench.path('copy.db'))
  const context = bench.context()
  // What an attempt before this one left, which was put an end to while it copied.
  writeFileSync(join(context.scratch_dir, 'copy.db'), readFileSync(path).subarray(0, 100_000))
  const engine = openEngine({ path }, context, { ...LIMITS, freeze_deadline_ms: 500 })
  const facts = await engine.snapshot(sink, never)
  expect(facts.engine_facts).toMatchObject({ route: 'backup-api', journal_mode: 'wal' })
  expect(facts.notices.join()).toContain('old snapshot')
  expect(Number(facts.engine_facts['lock_ms'])).toBeLessThan(500)
  expect(assertInvariant(bench.path('copy.db')).transactions).toBeGreaterThan(0)
  expect((await writer.stop()).errors).toBe(0)
})

test('the log may grow to its limit while a slow store takes the copy, then the source is let go', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000 })
  await using writer = await startWriter(path, { tps: 500 })
  await using sink = openFileSink(null, { beforeChunk: () => pause(400) })
  const engine = openEngine({ path }, bench.context(), { ...LIMITS, wal_bytes: 1_000_000 })
  await expect(engine.snapshot(sink, never)).rejects.toMatchObject({ code: 'SOURCE_LOG_GREW', retryable: true })
  await using application = await openElsewhere(path)
  // 1 would also say that the writer is in the middle of a checkpoint of its own.
  await expect.poll(() => application.get('PRAGMA wal_checkpoint(PASSIVE)')).toBe(0)
  expect((await writer.stop()).errors).toBe(0)
  assertInvariant(path)
})

test('where the log would outgrow its limit the state is let go, and the copy completed with what was committed meanwhile', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: FULL ? 200_000 : 3_000, auto_vacuum: 'full' })
  await using application = await openElsewhere(path)
  await application.exec('PRAGMA busy_timeout = 10000; CREATE TABLE filler AS SELECT * FROM images')
  await using writer = await startWriter(path, { tps: 300 })
  // As if its copy took an hour.
  const limits = { ...LIMITS, wal_bytes: 60_000_000, copy_bytes_s: statSync(path).size / 3_600 }
  for (const change of [null, 'DROP TABLE filler; VACUUM']) {
    await using sink = openFileSink(bench.path(`copy-${change}.db`))
    const before = (await writer.stats()).committed
    const [facts] = await Promise.all([
      openEngine({ path }, bench.context(), limits).snapshot(sink, never),
      change === null ? null : pause(450).then(() => application.exec(change)),
    ])
    // Where there is more work than processors the writer may have paused just then, or the lock have taken too long.
    const captured = facts.engine_facts['route'] === 'captured'
    expect(captured || (loadavg()[0] ?? 0) > availableParallelism(), String(facts.engine_facts['route'])).toBe(true)
    expect(facts.notices.join().includes('so much was written')).toBe(captured)
    expect(Number(facts.engine_facts['wal_grown_bytes'])).toBeLessThan(limits.wal_bytes)
    expect(assertInvariant(bench.path(`copy-${change}.db`)).transactions).toBeGreaterThanOrEqual(before)
  }
  expect((await writer.stop()).errors).toBe(0)
})

test('where no moment with all in the main file was found, a log that would outgrow its limit is captured as well', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 3_000 })
  await using report = await openElsewhere(path)
  await report.exec('BEGIN')
  await report.get('SELECT count(*) FROM visits')
  await using writer = await startWriter(path, { tps: 200 })
  await pause(200)
  await using sink = openFileSink(bench.path('copy.db'))
  // As if its copy took an hour.
  const hour = { wal_bytes: 60_000_000, copy_bytes_s: statSync(path).size / 3_600 }
  const context = bench.context()
  const engine = openEngine({ path }, context, { ...LIMITS, ...hour, freeze_deadline_ms: 300 })
  const before = (await writer.stats()).committed
  const facts = await engine.snapshot(sink, never)
  expect(facts.engine_facts).toMatchObject({ route: 'captured' })
  expect(Number(facts.engine_facts['lock_count'])).toBeGreaterThan(0)
  const aside = context.reported.filter(({ phase }) => phase === 'copy aside')
  expect([aside[0]?.done_bytes, aside.at(-1)?.done_bytes]).toEqual([0, aside[0]?.total_bytes])
  expect(assertInvariant(bench.path('copy.db')).transactions).toBeGreaterThanOrEqual(before)
  expect((await writer.stop()).errors).toBe(0)
})

for (const journal of ['delete', 'truncate', 'persist'] as const) {
  test(`journal mode ${journal}: copies under a writer hold it for milliseconds and are never torn`, async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 4_000, journal })
    await using writer = await startWriter(path, { tps: 20 })
    for (let round = 0; round < (FULL ? 100 : 4); round += 1) {
      await using sink = openFileSink(bench.path(`copy-${round}.db`), { beforeChunk: () => pause(10) })
      const facts = await openEngine({ path }, bench.context()).snapshot(sink, never)
      expect(facts.engine_facts).toMatchObject({ route: 'shared-lock', journal_mode: 'delete' })
      expect(facts.notices.join()).toContain('rollback-journal mode')
      expect(Number(facts.engine_facts['lock_ms'])).toBeLessThan(500)
      assertInvariant(bench.path(`copy-${round}.db`))
    }
    expect(await writer.stop()).toMatchObject({ errors: 0 })
  })
}

test('a journaled database whose writers leave no pause is copied under one bounded lock', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 1_000, journal: 'delete' })
  await using writer = await startWriter(path, { tps: 200 })
  await using sink = openFileSink(bench.path('copy.db'))
  const engine = openEngine({ path }, bench.context(), { ...LIMITS, slice_bytes: 256 * 1024 })
  const facts = await engine.snapshot(sink, never)
  expect(facts.engine_facts['restarts']).toBeGreaterThan(LIMITS.slice_restarts)
  assertInvariant(bench.path('copy.db'))
  expect(await writer.stop()).toMatchObject({ errors: 0 })
})

test('a journaled database that cannot be copied in the allowed time is let go', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 20_000, journal: 'delete' })
  await using writer = await startWriter(path, { tps: 100 })
  const limits = { ...LIMITS, slice_bytes: 1024 * 1024, slice_restarts: 0, hold_ms: 1 }
  await using sink = openFileSink(null)
  const failing = openEngine({ path }, bench.context(), limits).snapshot(sink, never)
  await expect(failing).rejects.toMatchObject({ code: 'SOURCE_STALLED', retryable: true })
  expect((await writer.stop()).errors).toBe(0)
})

test('a database that is switched to WAL mode between two slices is not copied as if it were locked', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 4_000, journal: 'delete' })
  await using application = await openElsewhere(path)
  const context = bench.context()
  let switched: Promise<void> | undefined
  const progress = (): void => {
    switched ??= application.exec('PRAGMA journal_mode = WAL; UPDATE patients SET seen = 0')
  }
  await using sink = openFileSink(null)
  const engine = openEngine({ path }, { ...context, progress }, { ...LIMITS, slice_bytes: 64 * 1024 })
  await expect(engine.snapshot(sink, never)).rejects.toMatchObject({ code: 'SOURCE_CHANGED', retryable: true })
  await switched
  expect(sink.size).toBe(0)
})

test('the journal of a crash is played back before the copy', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 500, journal: 'delete' })
  const application = await openElsewhere(path)
  await application.exec('PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE ledger SET amount = 0; DELETE FROM visits')
  await application.kill()
  expect(statSync(`${path}-journal`).size).toBeGreaterThan(0)
  await using sink = openFileSink(bench.path('copy.db'))
  await openEngine({ path }, bench.context()).snapshot(sink, never)
  expect(assertInvariant(bench.path('copy.db'))).toEqual({ transactions: 0 })
})

for (const [journal, sql] of [
  ['wal', 'BEGIN IMMEDIATE; UPDATE ledger SET amount = amount'],
  ['wal', 'PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE ledger SET amount = amount; COMMIT'],
  ['delete', 'PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE ledger SET amount = amount; COMMIT'],
] as const) {
  test(`${journal}, ${sql.slice(0, 34)}…: the lock is waited for, then named`, async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 10, journal })
    await using application = await openElsewhere(path)
    await application.exec(sql)
    await using sink = openFileSink(null)
    const engine = openEngine({ path }, bench.context(), { ...LIMITS, lock_wait_ms: 1_000 })
    await expect(engine.snapshot(sink, never)).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      message: 'clinic: locked by another program for 1 s',
      retryable: true,
    })
  })
}
