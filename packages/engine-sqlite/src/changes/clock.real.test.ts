import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { now, openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { LIMITS } from '../config.ts'
import { MemorySink, startStream, until } from './stream.fixture.ts'

const HOUR_MS = 3_600_000

for (const journal of ['wal', 'delete'] as const)
  test.concurrent(`a clock that is set back, during a stream or between two, takes no instant twice (${journal})`, async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 50, journal })
    const sink = new MemorySink(bench, path)
    await sink.backup()
    await using application = await openElsewhere(path)
    await application.exec('CREATE TABLE marks (x)')
    let offset = 0
    const clock = (): Instant => shifted(now(), offset)
    const options = { clock, limits: { ...LIMITS, scan_share: 1 } }
    const marks: string[] = []
    const mark = async (name: string): Promise<void> => {
      marks.push(name)
      const { length } = sink.sets
      await application.exec(`INSERT INTO marks VALUES ('${name}')`)
      await until(`a set with ${name}`, () => sink.sets.length > length)
    }
    {
      await using stream = startStream(bench, path, sink, options)
      await until('a first set', () => sink.sets.length > 0, 60_000)
      await mark('before')
      // Idle, so that nothing but the clock tells up to when everything is stored.
      const covered = (): Instant => sink.seen?.covered_until ?? ''
      await until('it is covered', () => covered() > sink.sets.at(-1)!.to_at)
      offset = -HOUR_MS
      const seen = covered()
      await until('another look', () => covered() !== seen, 1_200).catch(() => undefined)
      expect(covered() >= seen).toBe(true)
      await mark('set back')
      await stream.stop()
    }
    offset = -2 * HOUR_MS
    {
      await using stream = startStream(bench, path, sink, options)
      await mark('again')
      await mark('and again')
      await stream.stop()
    }
    const ends = sink.sets.map(({ to_at }) => to_at)
    expect(ends).toEqual([...new Set(ends)].toSorted())
    expect(sink.sets.filter(({ from_at, to_at }) => from_at >= to_at)).toEqual([])
    const copy = bench.path('copy.db')
    expect(await sink.restore(copy, ends.at(-1)!)).toBe(ends.at(-1))
    await using restored = await openElsewhere(copy)
    expect(await restored.get('SELECT group_concat(x) FROM marks')).toBe(marks.join())
  })
