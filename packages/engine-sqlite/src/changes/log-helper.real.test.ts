import { readFileSync, statSync } from 'node:fs'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { caughtUp, helperProcesses, MemorySink, startStream, until } from './stream.fixture.ts'

/** Locks of those processes on a database, its log's index included, as the kernel has them. */
function locksOn(path: string, pids: readonly number[]): number {
  const inodes = [path, `${path}-shm`].map((file) => statSync(file).ino)
  const lines = readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.filter((line) => {
    const [, pid, inode] = /(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line) ?? []
    return pids.includes(Number(pid)) && inodes.includes(Number(inode))
  }).length
}

test('databases share one process, never one file twice; one is let go with its log left in place, and the others keep their locks', async () => {
  using bench = openBench()
  const paths = ['a', 'b', 'c'].map((name) => bench.path(`${name}.db`))
  for (const path of paths) createClinic(path, { rows: 20 })
  const sinks = paths.map((path, i) => new MemorySink(bench, path, String(i)))
  for (const sink of sinks) await sink.backup()
  const streams = paths.map((path, i) => startStream(bench, path, sinks[i]!))
  for (const sink of sinks) await until('a first set', () => sink.sets.length > 0)
  const [helper, ...more] = helperProcesses()
  expect(more).toEqual([])
  const [a, b] = paths as [string, string, string]
  const twin = new MemorySink(bench, a, 'twin')
  await twin.backup()
  const second = startStream(bench, a, twin)
  await until('a first set of the twin', () => twin.sets.length > 0)
  expect(helperProcesses()).toHaveLength(2)
  await second.stop()
  expect(helperProcesses()).toEqual([helper])

  // The application is gone, so that nobody but the process has the database open.
  const application = await openElsewhere(a)
  await application.exec(`CREATE TABLE marks (at TEXT); INSERT INTO marks VALUES ('seen')`)
  await caughtUp(sinks[0]!)
  await application.kill()
  const held = locksOn(b, [helper!])
  expect([locksOn(a, [helper!]) > 0, held > 0]).toEqual([true, true])
  const log = statSync(`${a}-wal`).size
  await streams[0]!.stop()
  expect([statSync(`${a}-wal`).size, log > 0, locksOn(a, [helper!])]).toEqual([log, true, 0])
  expect([helperProcesses(), locksOn(b, [helper!])]).toEqual([[helper], held])

  // What was committed while nobody followed it is found behind the log's last place.
  {
    await using again = await openElsewhere(a)
    await again.exec(`INSERT INTO marks VALUES ('away')`)
    await again.kill()
  }
  streams[0] = startStream(bench, a, sinks[0]!)
  await caughtUp(sinks[0]!)
  await sinks[0]!.restore(bench.path('copy.db'), sinks[0]!.sets.at(-1)!.to_at)
  await using copy = await openElsewhere(bench.path('copy.db'))
  expect(await copy.get('SELECT group_concat(at) FROM marks')).toBe('seen,away')
  expect(sinks[0]!.sets.filter(({ stands_on }) => stands_on === 'base')).toHaveLength(1)
  expect(helperProcesses()).toEqual([helper])
  await Promise.all(streams.map((stream) => stream.stop()))
  expect(helperProcesses()).toEqual([])
})
