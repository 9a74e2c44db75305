import { closeSync, copyFileSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { type Bench, openBench } from '@salvor/testkit/fakes/engine-context'
import { type Elsewhere, openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { caughtUp, MemorySink, startStream, until } from './stream.fixture.ts'

const FRAME_HEADER_BYTES = 24
const WAL_HEADER_BYTES = 32

interface Away {
  readonly path: string
  readonly sink: MemorySink
}

/** A stream has read to the end of a log that has older frames behind that; then stream and application are gone. */
async function leftAlone(bench: Bench, midway: (path: string) => Promise<void> | void): Promise<Away> {
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const sink = new MemorySink(bench, path)
  await using application = await openElsewhere(path)
  await application.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE marks (x); CREATE TABLE other (x)')
  for (let i = 0; i < 60; i += 1) await application.exec('INSERT INTO other VALUES (1)')
  await application.exec(`PRAGMA wal_checkpoint(RESTART); INSERT INTO marks VALUES ('first')`)
  await sink.backup()
  await using stream = startStream(bench, path, sink)
  await until('a first set', () => sink.sets.length > 0, 60_000)
  await application.exec('INSERT INTO other VALUES (2)')
  await caughtUp(sink)
  await midway(path)
  for (let i = 0; i < 10; i += 1) await application.exec('INSERT INTO other VALUES (2)')
  await caughtUp(sink)
  await stream.stop()
  return { path, sink }
}

async function followedFurther(bench: Bench, { path, sink }: Away, application: Elsewhere): Promise<void> {
  await using stream = startStream(bench, path, sink)
  await caughtUp(sink)
  await application.exec(`INSERT INTO marks VALUES ('last')`)
  await caughtUp(sink)
  await stream.stop()
  await sink.restore(bench.path('copy.db'), sink.sets.at(-1)!.to_at)
  await using copy = await openElsewhere(bench.path('copy.db'))
  for (const sql of ['SELECT count(*) FROM other', 'SELECT group_concat(x) FROM marks'])
    expect(await copy.get(sql)).toEqual(await application.get(sql))
  expect(sink.sets.some(({ lost }) => lost !== null)).toBe(true)
}

test.concurrent('a database that was rolled back in place, with its log, begins a new line even if the log began anew just then', async () => {
  using bench = openBench()
  const ends = ['', '-wal'] as const
  const away = await leftAlone(bench, (path) => {
    for (const end of ends) copyFileSync(path + end, bench.path(`earlier${end}`))
  })
  const { path } = away
  for (const end of ends) writeFileSync(path + end, readFileSync(bench.path(`earlier${end}`)))
  rmSync(`${path}-shm`)
  await using application = await openElsewhere(path)
  await application.exec(`PRAGMA wal_checkpoint(RESTART); INSERT INTO marks VALUES ('another')`)
  expect(await application.get('SELECT count(*) FROM other')).toBe(61)
  await followedFurther(bench, away, application)
})

test.concurrent('a log whose first frame did not outlive a power cut is not one that began anew', async () => {
  using bench = openBench()
  const away = await leftAlone(bench, () => undefined)
  const { path } = away
  const fd = openSync(`${path}-wal`, 'r+')
  writeSync(fd, Buffer.alloc(100), 0, 100, WAL_HEADER_BYTES + FRAME_HEADER_BYTES)
  closeSync(fd)
  rmSync(`${path}-shm`)
  await using application = await openElsewhere(path)
  expect(await application.get('SELECT count(*) FROM other')).toBe(60)
  await followedFurther(bench, away, application)
})
