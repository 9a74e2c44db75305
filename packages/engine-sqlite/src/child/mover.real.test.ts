import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { expect, test } from 'vitest'
import { moveBeside } from './mover.ts'

test('a checkpoint that takes longer than the lock may be held ends beside the writers, and a short one in time', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  await using application = await openElsewhere(path)
  await application.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE filler (bytes BLOB)`)
  await using mover = moveBeside(path)
  expect(await mover.pass()).toMatchObject({ busy: 0 })
  await application.exec(`INSERT INTO filler
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT randomblob(1000000) FROM n`)
  expect(mover.within(1)).toBeNull()
  // Asked again while the first one goes on.
  expect(mover.within(1)).toBeNull()
  await application.exec('INSERT INTO filler VALUES (1)')
  const passed = await mover.pass()
  expect(passed.log).toBeGreaterThan(10_000)
  expect(passed).toEqual({ busy: 0, log: passed.log, checkpointed: passed.log })
  await application.exec('INSERT INTO filler VALUES (2)')
  const moved = mover.within(20_000)
  expect(moved?.log).toBeGreaterThan(0)
  expect(moved?.checkpointed).toBe(moved?.log)
})
