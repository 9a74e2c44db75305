import { existsSync, mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { caughtUp, MemorySink, startStream, until } from './stream.fixture.ts'

test('a database that is moved, with a link left in its place, is followed where it lies now', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const sink = new MemorySink(bench, path)
  await sink.backup()
  const application = await openElsewhere(path)
  await application.exec('CREATE TABLE marks (x)')
  const stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0)
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
