import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { caughtUp, MemorySink, startStream, until } from './stream.fixture.ts'

test.concurrent('a database that is moved, with a link left in its place, is followed where it lies now', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  const application = await openElsewhere(path)
  await application.exec('CREATE TABLE marks (x)')
  const stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0, 60_000)
  await application.exec(`INSERT INTO marks VALUES ('before')`)
  await caughtUp(sink)
  await application.kill()
  // Long enough that the times of the files alone are looked at.
  await sleep(4_500)
  mkdirSync(bench.path('larger-disk'))
  for (const end of ['', '-wal', '-shm'])
    if (existsSync(path + end)) renameSync(path + end, bench.path(`larger-disk/clinic.db${end}`))
  symlinkSync(bench.path('larger-disk/clinic.db'), path)
  const error = (await Promise.race([stream.ended, sleep(5_000, 'it went on')])) as SalvorError
  expect([error.code, error.retryable]).toEqual(['SOURCE_CHANGED', true])
  await using started = await openElsewhere(path)
  await started.exec(`INSERT INTO marks VALUES ('after')`)
  await using again = startStream(bench, path, sink)
  await caughtUp(sink)
  await again.stop()
  await sink.restore(bench.path('copy.db'), sink.sets.at(-1)!.to_at)
  await using copy = await openElsewhere(bench.path('copy.db'))
  expect(await copy.get('SELECT group_concat(x) FROM marks')).toBe('before,after')
})

test.concurrent('a database that is put back by hand, its log removed, is let go at once: its application is not kept out, and the old log spoils nothing', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  const application = await openElsewhere(path)
  await application.exec(`CREATE TABLE marks (x); INSERT INTO marks VALUES ('kept')`)
  await application.exec(`VACUUM INTO '${bench.path('earlier.db')}'`)
  const stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0, 60_000)
  await application.exec(`INSERT INTO marks VALUES ('mistake'); DELETE FROM images`)
  await caughtUp(sink)
  await application.kill()
  // The same file, other content.
  copyFileSync(bench.path('earlier.db'), path)
  for (const end of ['-wal', '-shm']) rmSync(path + end)
  const error = (await Promise.race([stream.ended, sleep(5_000, 'it went on')])) as SalvorError
  expect([error.code, error.retryable]).toEqual(['SOURCE_CHANGED', true])
  await using started = await openElsewhere(path)
  await started.exec(`PRAGMA journal_mode = WAL; INSERT INTO marks VALUES ('after')`)
  const [marks, images] = ['SELECT group_concat(x) FROM marks', 'SELECT count(*) FROM images']
  expect([await started.get(marks), await started.get(images)]).toEqual(['kept,after', 5])
  expect(await started.get('PRAGMA integrity_check')).toBe('ok')
  await sink.backup()
  await using again = startStream(bench, path, sink)
  await caughtUp(sink)
  await again.stop()
  await sink.restore(bench.path('copy.db'), sink.sets.at(-1)!.to_at)
  await using copy = await openElsewhere(bench.path('copy.db'))
  expect([await copy.get(marks), await copy.get(images)]).toEqual(['kept,after', 5])
})

test.concurrent('a database that is written over in place, its log left beside it, begins a new line', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const sink = new MemorySink(bench, path)
  const application = await openElsewhere(path)
  await application.exec(`CREATE TABLE marks (x); INSERT INTO marks VALUES ('kept'); PRAGMA wal_checkpoint(TRUNCATE)`)
  copyFileSync(path, bench.path('earlier.db'))
  await sink.backup()
  await using stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0, 60_000)
  await application.exec(`INSERT INTO marks VALUES ('mistake'); DELETE FROM images`)
  await caughtUp(sink)
  await application.kill()
  // Until all of the log is in the main file, so that an application reads nothing else.
  await sleep(5_500)
  copyFileSync(bench.path('earlier.db'), path)
  await sleep(2_500)
  await using started = await openElsewhere(path)
  await started.exec(`INSERT INTO marks VALUES ('after')`)
  await caughtUp(sink)
  await stream.stop()
  await sink.restore(bench.path('copy.db'), sink.sets.at(-1)!.to_at)
  await using copy = await openElsewhere(bench.path('copy.db'))
  for (const sql of ['SELECT group_concat(x) FROM marks', 'SELECT count(*) FROM images', 'PRAGMA integrity_check'])
    expect([sql, await copy.get(sql)]).toEqual([sql, await started.get(sql)])
  expect(sink.sets.map(({ lost }) => lost).filter(Boolean)).toEqual([
    'the main file was written to by something else than SQLite',
  ])
})
