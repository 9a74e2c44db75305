import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { now, openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { LIMITS } from '../config.ts'
import { caughtUp, committedBy, helperProcesses, MemorySink, startStream, until } from './stream.fixture.ts'

const ROUNDS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 200 : 12

test('what comes back at any instant under 200 transactions a second is exactly what was committed by then, also across a backup', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 500 })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  const times = bench.path('times')
  await using writer = await startWriter(path, { tps: 200, times })
  await using stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0)
  await sleep(1_000)
  const { route } = await sink.backup()
  await sleep(1_000)
  const stats = await writer.stop()
  await Promise.race([caughtUp(sink), stream.ended.then((error) => expect(error).toBeUndefined())])
  await stream.stop()
  const [first, last] = [sink.sets[0]!.to_at, sink.sets.at(-1)!.to_at]
  const overloaded = isOverloaded()
  // The log never broke off, it was never held for long, and the backup found its moment beside the stream.
  expect(overloaded || sink.sets.filter(({ stands_on }) => stands_on === 'base').length === 1).toBe(true)
  expect(statSync(`${path}-wal`).size).toBeLessThan(overloaded ? 250e6 : 20e6)
  expect(overloaded || route === 'freeze', route).toBe(true)
  expect(stats.errors).toBe(0)
  const copy = bench.path('copy.db')
  for (let round = 1; round <= ROUNDS; round += 1) {
    const at = shifted(first, Math.random() * (Date.parse(last) - Date.parse(first)))
    const recovered = await sink.state(copy, at)
    expect(recovered <= at).toBe(true)
    const { transactions } = assertInvariant(copy)
    const { least, most } = committedBy(times, recovered)
    const exact = transactions >= least && transactions <= most && (overloaded || most - least < 20)
    expect([recovered, exact, least, transactions, most]).toEqual([recovered, true, least, transactions, most])
  }
  expect(await sink.restore(copy, last)).toBe(last)
  expect(assertInvariant(copy).transactions).toBe(stats.committed)
})

test('a stream that was away goes on where the log still stands, and says what is lost where it does not', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200 })
  await using application = await openElsewhere(path)
  await application.exec(`CREATE TABLE marks (at TEXT); INSERT INTO marks VALUES ('before')`)
  const sink = new MemorySink(bench, path)
  const copy = bench.path('copy.db')
  const marks = async (): Promise<unknown> => {
    await caughtUp(sink)
    await sink.state(copy, now())
    await using restored = await openElsewhere(copy)
    return await restored.get('SELECT group_concat(at) FROM marks')
  }
  await sink.backup()
  {
    await using stream = startStream(bench, path, sink)
    await until('a first set', () => sink.sets.length > 0)
    await application.exec(`INSERT INTO marks VALUES ('seen')`)
    expect(await marks()).toBe('before,seen')
    await stream.stop()
  }
  await application.exec(`INSERT INTO marks VALUES ('away')`)
  {
    await using stream = startStream(bench, path, sink)
    expect(await marks()).toBe('before,seen,away')
    expect(sink.sets.map(({ stands_on }) => stands_on)).toEqual(['base', 'previous', 'previous'])
    await stream.stop()
  }
  // The log began anew behind the last frame that was read: its count and what it has not written over say so.
  await application.exec(`PRAGMA wal_checkpoint(RESTART); INSERT INTO marks VALUES ('behind')`)
  {
    await using stream = startStream(bench, path, sink)
    expect(await marks()).toBe('before,seen,away,behind')
    expect(sink.sets.filter(({ stands_on }) => stands_on === 'base')).toHaveLength(1)
    await stream.stop()
  }
  // Its frames are gone, and others have taken their place: of fewer frames than were read, or of a whole new file.
  await application.exec(
    `INSERT INTO marks VALUES ('unread'); PRAGMA wal_checkpoint(RESTART); INSERT INTO marks VALUES ('short')`,
  )
  {
    await using stream = startStream(bench, path, sink)
    expect(await marks()).toBe('before,seen,away,behind,unread,short')
    expect(sink.sets.at(-1)).toMatchObject({ stands_on: 'base', method: 'scan' })
    await stream.stop()
  }
  await application.exec(
    `INSERT INTO marks VALUES ('reset'); PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO marks VALUES ('anew')`,
  )
  await using stream = startStream(bench, path, sink)
  expect(await marks()).toBe('before,seen,away,behind,unread,short,reset,anew')
  expect(sink.sets.at(-1)).toMatchObject({ stands_on: 'base', method: 'scan' })
  expect(sink.sets.at(-1)!.lost).toMatch(/log was reset/)

  // Another file takes the name: the stream ends, and begins on what lies there now.
  await application[Symbol.asyncDispose]()
  for (const end of ['-wal', '-shm']) if (existsSync(path + end)) renameSync(path + end, `${path}.old${end}`)
  renameSync(path, `${path}.old`)
  createClinic(path, { rows: 20 })
  const error = (await stream.ended) as SalvorError
  expect([error.code, error.retryable]).toEqual(['SOURCE_CHANGED', true])
  await using other = startStream(bench, path, sink)
  await until('the new file', () => sink.refusals.length > 0 || sink.sets.at(-1)!.page_count < 100)
  await other.stop()
})

test('others may checkpoint, TRUNCATE and VACUUM beside it; while nothing can be stored one set gathers everything', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 300 })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  // As the worker does: a line that has to begin anew behind the VACUUM, where the write lock took too long here, stands on no older backup.
  sink.fullNeeded = async (reason) => {
    sink.refusals.push(reason)
    await sink.backup()
  }
  await using application = await openElsewhere(path)
  await application.exec('PRAGMA busy_timeout = 5000')
  await using writer = await startWriter(path, { tps: 100 })
  await using stream = startStream(bench, path, sink, { limits: { ...LIMITS, log_frames: 50 } })
  await until('a first set', () => sink.sets.length > 0)
  await application.exec('VACUUM')
  const waits: number[] = []
  for (let round = 0; round < 5; round += 1) {
    for (const kind of ['TRUNCATE', 'RESTART']) {
      await sleep(100 + Math.random() * 100)
      const begun = performance.now()
      await application.exec(`PRAGMA wal_checkpoint(${kind})`)
      waits.push(performance.now() - begun)
    }
  }
  // It waits until our snapshot has moved on twice, and its own looks for that are up to 100 ms apart.
  const typical = waits.toSorted((a, b) => a - b)[waits.length >> 1]!
  expect(typical, waits.map(Math.round).join(' ')).toBeLessThan(isOverloaded() ? 2_000 : 400)
  const down = new SalvorError('STORE_UNREACHABLE', { store: 'local', reason: 'it is down' })
  sink.before = () => {
    throw down
  }
  await until('it is told', () => sink.seen?.trouble?.code === 'STORE_UNREACHABLE')
  const stored = sink.sets.length
  await sleep(1_200)
  expect(sink.sets).toHaveLength(stored)
  sink.before = () => undefined
  const { committed, errors } = await writer.stop()
  await caughtUp(sink)
  await stream.stop()
  expect(errors).toBe(0)
  expect(sink.sets.length - stored).toBeLessThan(5)
  const began = isOverloaded() || sink.refusals.length > 0
  expect(began || sink.sets.filter(({ stands_on }) => stands_on === 'base').length === 1).toBe(true)
  await sink.state(bench.path('copy.db'), now())
  expect(assertInvariant(bench.path('copy.db')).transactions).toBe(committed)
})

test('the process that holds the log is killed while another worker follows the same database: nothing is lost to either', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 100 })
  const sinks = [new MemorySink(bench, path), new MemorySink(bench, path, 'b')] as const
  for (const sink of sinks) await sink.backup()
  // A log that is never reset, so that it still stands after the kill.
  const limits = { ...LIMITS, log_frames: 1e9 }
  await using application = await openElsewhere(path)
  await application.exec('PRAGMA wal_autocheckpoint = 0')
  await using other = startStream(bench, path, sinks[1], { limits })
  await until('a first set of the other', () => sinks[1].sets.length > 0)
  const before = helperProcesses()
  const first = startStream(bench, path, sinks[0], { limits })
  await until('a first set', () => sinks[0].sets.length > 0)
  await application.exec(`CREATE TABLE marks (at TEXT); INSERT INTO marks VALUES ('seen')`)
  await caughtUp(sinks[0])
  for (const pid of helperProcesses()) if (!before.includes(pid)) process.kill(pid, 'SIGKILL')
  const error = (await first.ended) as SalvorError
  expect([error.code, error.retryable]).toEqual(['TASK_DIED', true])
  await application.exec(`INSERT INTO marks VALUES ('after')`)
  await using again = startStream(bench, path, sinks[0], { limits })
  for (const sink of sinks) {
    await caughtUp(sink)
    await sink.state(bench.path('copy.db'), now())
    await using copy = await openElsewhere(bench.path('copy.db'))
    expect(await copy.get('SELECT group_concat(at) FROM marks')).toBe('seen,after')
    expect(sink.sets.filter(({ stands_on }) => stands_on === 'base')).toHaveLength(1)
  }
  await Promise.all([again.stop(), other.stop()])
})

test.skipIf(process.getuid?.() !== 0)(
  'a disk that is full of what cannot be stored ends the stream, not the application, and the next one brings everything (needs root for a small disk)',
  async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 100 })
    const sink = new MemorySink(bench, path)
    await sink.backup()
    await using application = await openElsewhere(path)
    mkdirSync(bench.path('disk'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', bench.path('disk')])
    try {
      await using stream = startStream(bench, path, sink, { spool: bench.path('disk/spool') })
      await until('a first set', () => sink.sets.length > 0)
      sink.before = () => {
        throw new SalvorError('STORE_UNREACHABLE', { store: 'local', reason: 'it is down' })
      }
      await application.exec('CREATE TABLE much (bytes BLOB)')
      for (let i = 0; i < 20; i += 1) await application.exec('INSERT INTO much VALUES (randomblob(1000000))')
      const error = (await stream.ended) as SalvorError
      expect([error.code, error.facts['what']]).toEqual(['DISK_FULL', bench.path('disk/spool')])
      expect(helperProcesses()).toEqual([])
      expect(await application.get('PRAGMA wal_checkpoint(TRUNCATE)')).toBe(0)
    } finally {
      execFileSync('umount', [bench.path('disk')])
    }
    sink.before = () => undefined
    // So much differs from the backup that the line needs a new one.
    await sink.backup()
    await using again = startStream(bench, path, sink)
    await caughtUp(sink)
    await again.stop()
    await sink.restore(bench.path('copy.db'), sink.sets.at(-1)!.to_at)
    await using copy = await openElsewhere(bench.path('copy.db'))
    expect(await copy.get('SELECT count(*) FROM much')).toBe(20)
  },
)

test('a database with a rollback journal is compared with its backup where it changed, and only there', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 100, journal: 'delete' })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  await using application = await openElsewhere(path)
  await using stream = startStream(bench, path, sink, { limits: { ...LIMITS, scan_share: 1 } })
  await until('a first set', () => sink.sets.length > 0)
  for (const mark of ['one', 'two', 'three']) {
    const stored = sink.sets.length
    if (mark === 'three') await sink.backup()
    await application.exec(`CREATE TABLE ${mark} (x); INSERT INTO ${mark} VALUES (1)`)
    await until('another set', () => sink.sets.length > stored)
    await caughtUp(sink)
    if (mark === 'one') continue
    // With the digest of the whole state.
    const recovered = await sink.restore(bench.path('copy.db'), now())
    expect(recovered).toBe(sink.sets.at(-1)!.to_at)
    await using copy = await openElsewhere(bench.path('copy.db'))
    expect(await copy.get(`SELECT count(*) FROM ${mark}`)).toBe(1)
  }
  const how = sink.sets.map(({ method, stands_on, lost }) => `${method} ${stands_on} ${lost}`)
  // What stands on the newest backup, and what stands on the set before it.
  expect([...new Set(how.slice(0, -1))].toSorted()).toEqual(['scan base null', 'scan previous null'])
  expect([how[0], how.at(-1)]).toEqual(['scan base null', expect.stringMatching(/^scan/)])
  expect(sink.sets.filter(({ stands_on }) => stands_on === 'base')).toHaveLength(2)
  const { length } = sink.sets
  await sleep(1_000)
  expect(sink.sets).toHaveLength(length)
  await stream.stop()
})

/** With more work than processors a thread may be put aside at any moment, also while it holds a lock. */
function isOverloaded(): boolean {
  return (loadavg()[0] ?? 0) > availableParallelism()
}
