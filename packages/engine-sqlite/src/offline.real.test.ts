import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'

const never = new AbortController().signal

for (const journal of ['wal', 'delete'] as const) {
  test(`a stopped database (${journal}) is copied with what its crash left beside it, and not touched`, async () => {
    using bench = openBench()
    const target = bench.path('app.db')
    createClinic(target, { rows: 300, journal })
    const writer = await startWriter(target, { tps: 200 })
    await pause(300)
    const { committed } = await writer.stats()
    await writer.kill()
    const dirty = await openElsewhere(target)
    await dirty.exec('PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE ledger SET amount = 0; DELETE FROM visits')
    await dirty.kill()
    const rest = journal === 'wal' ? `${target}-wal` : `${target}-journal`
    expect(existsSync(rest)).toBe(true)
    const sums = (): string => execFileSync('sha256sum', [target, rest]).toString()
    const before = sums()
    const context = bench.context()
    await using sink = openFileSink(bench.path('copy.db'))
    const facts = await openEngine({ path: target }, context).offlineSnapshot(target, sink, never)
    expect(sums()).toBe(before)
    expect(facts).toMatchObject({ source_db: target, notices: [], engine_facts: { route: 'offline', damaged: false } })
    expect(assertInvariant(bench.path('copy.db')).transactions).toBeGreaterThanOrEqual(committed)
    expect(readdirSync(context.scratch_dir)).toEqual([])
  })
}

test('a database that was shut down in order is read as it is', async () => {
  using bench = openBench()
  const target = bench.path('app.db')
  createClinic(target, { rows: 100 })
  await using sink = openFileSink(bench.path('copy.db'))
  await openEngine({ path: target }, bench.context()).offlineSnapshot(target, sink, never)
  expect(readFileSync(bench.path('copy.db')).equals(readFileSync(target))).toBe(true)
})

test('a ruined database is kept as its bytes are, with a notice: that may be why it is replaced', async () => {
  using bench = openBench()
  const target = bench.path('app.db')
  writeFileSync(target, Buffer.alloc(20_000, 7))
  writeFileSync(`${target}-wal`, 'rest')
  await using sink = openFileSink(bench.path('copy.db'))
  const facts = await openEngine({ path: target }, bench.context()).offlineSnapshot(target, sink, never)
  expect(readFileSync(bench.path('copy.db')).equals(readFileSync(target))).toBe(true)
  expect(facts.notices.join()).toContain('is damaged')
  expect(facts.engine_facts['damaged']).toBe(true)
})

test('a database that is in use is not taken for a stopped one', async () => {
  using bench = openBench()
  const target = bench.path('app.db')
  createClinic(target, { rows: 10 })
  await using writer = await startWriter(target, { tps: 50 })
  await using sink = openFileSink(null)
  const snapshot = openEngine({ path: target }, bench.context()).offlineSnapshot(target, sink, never)
  await expect(snapshot).rejects.toMatchObject({ code: 'TARGET_IN_USE' })
  await writer.stop()
  rmSync(target)
  const missing = openEngine({ path: target }, bench.context()).offlineSnapshot(target, sink, never)
  await expect(missing).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' })
})
