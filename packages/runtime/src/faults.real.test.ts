import { rmSync, writeFileSync } from 'node:fs'
import { startRedis, type RealRedis } from '@salvor/testkit/real/redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Runtime } from './open-runtime.ts'
import { linesOf, startChild, type Child } from './child.fixture.ts'
import { makePlace, openCommand, startHere, type Place } from './service.fixture.ts'
import { backupOf, enqueue, service, until } from './world.fixture.ts'

let redis: RealRedis
beforeAll(async () => {
  redis = await startRedis({ policy: 'noeviction' })
})
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
})

/** Who began to execute the run, in order. */
function executors(place: Place, runId: string): string[] {
  const lines = linesOf(place, 'executions').map((line) => line.split(' '))
  return lines.filter(([id]) => id === runId).map(([, name = '']) => name)
}

async function effects(runtime: Runtime, runId: string): Promise<string[]> {
  const open = await runtime.deps.catalog.openIncidents()
  return open.map(({ key }) => key).filter((key) => key.startsWith(runId))
}

/** Not in the middle of a write: the embedded catalog of all would wait with it. */
async function putToSleep(child: Child, { deps }: Runtime): Promise<void> {
  for (;;) {
    child.kill('SIGSTOP')
    const write = deps.catalog.transaction({ service: 'cli' }, async (tx) => tx.now)
    const free = await Promise.race([
      write.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 1000, false)),
    ])
    if (free) return
    child.kill('SIGCONT')
    await write
  }
}

const hold = (place: Place, who: string): void => writeFileSync(place.file(who), '')
const release = (place: Place, who: string): void => rmSync(place.file(who), { force: true })

test('a run whose worker is killed is taken up by another, and has one effect', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  hold(place, 'hold-first')
  await using first = await startChild(place, 'first')
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(() => executors(place, run.id).length === 1)
  await using second = await startChild(place, 'second')
  first.kill('SIGKILL')
  await first.exited()
  const killed = performance.now()
  await until(async () => (await command.deps.catalog.run(run.id))?.state === 'succeeded', 60_000)
  console.log(`taken up and done ${Math.round(performance.now() - killed)} ms after the kill`)
  expect(executors(place, run.id)).toEqual(['first', 'second'])
  expect(await effects(command, run.id)).toEqual([`${run.id}/second`])
  expect(await command.deps.catalog.run(run.id)).toMatchObject({ attempt: 2, failures: 1, result: 'second' })
  expect(second.child.exitCode).toBeNull()
})

test('a worker that slept longer than its lease finds its run taken over, and commits nothing', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  hold(place, 'hold-first')
  await using first = await startChild(place, 'first')
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(() => executors(place, run.id).length === 1)
  await using second = await startChild(place, 'second')
  await putToSleep(first, command)
  await until(async () => (await command.deps.catalog.run(run.id))?.state === 'succeeded', 60_000)
  // The first one wakes up with its work done.
  release(place, 'hold-first')
  first.kill('SIGCONT')
  await until(() => first.log().includes('nothing was committed'))
  expect(await effects(command, run.id)).toEqual([`${run.id}/second`])
  expect(await command.deps.catalog.run(run.id)).toMatchObject({ attempt: 2, result: 'second' })
  second.kill('SIGTERM')
  await second.exited()
  const after = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(async () => (await command.deps.catalog.run(after.id))?.state === 'succeeded')
  expect(executors(place, after.id)).toEqual(['first'])
}, 180_000)

test('a worker that is told to stop lets short work end, takes no new work, and exits 0', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  hold(place, 'hold')
  await using only = await startChild(place, 'only')
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(() => executors(place, run.id).length === 1)
  only.kill('SIGTERM')
  await until(() => only.log().includes('no new work'))
  const late = await enqueue(command.deps.catalog, backupOf('clinic'))
  release(place, 'hold')
  expect(await only.exited()).toBe(0)
  expect((await command.deps.catalog.run(run.id))?.state).toBe('succeeded')
  expect(executors(place, late.id)).toEqual([])
  expect(await command.deps.catalog.leases('service:')).toEqual([])
})

test('long work is given back at the deadline without a failure, and another goes on with it', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  hold(place, 'hold-first')
  await using first = await startChild(place, 'first')
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(() => executors(place, run.id).length === 1)
  await using second = await startChild(place, 'second')
  first.kill('SIGTERM')
  expect(await first.exited()).toBe(0)
  const gone = performance.now()
  await until(async () => (await command.deps.catalog.run(run.id))?.state === 'succeeded', 10_000)
  console.log(`given back and done ${Math.round(performance.now() - gone)} ms after the exit`)
  expect(await command.deps.catalog.run(run.id)).toMatchObject({ attempt: 2, failures: 0, result: 'second' })
  expect(second.child.exitCode).toBeNull()
})

test('a second signal does not wait for the deadline', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  hold(place, 'hold')
  await using only = await startChild(place, 'only')
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(() => executors(place, run.id).length === 1)
  only.kill('SIGINT')
  await until(() => only.log().includes('no new work'))
  const second = performance.now()
  only.kill('SIGINT')
  expect(await only.exited()).toBe(0)
  expect(performance.now() - second).toBeLessThan(1900)
  expect(await command.deps.catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 0 })
})

test('SIGHUP takes up a new configuration; an invalid one leaves the old in force', async () => {
  using place = makePlace(redis.url)
  await using command = await openCommand(place)
  await using only = await startChild(place, 'only')
  place.write('nonsense: 1\n')
  only.kill('SIGHUP')
  await until(() => only.log().includes('the old one stays in force'))
  place.write('timezone: Europe/Berlin\n')
  only.kill('SIGHUP')
  await until(() => only.log().includes('configuration reloaded'))
  const run = await enqueue(command.deps.catalog, backupOf('clinic'))
  await until(async () => (await command.deps.catalog.run(run.id))?.state === 'succeeded')
  expect(only.child.exitCode).toBeNull()
})

test('a Redis with an eviction policy ends the start with the exit code of a wrong configuration', async () => {
  await using evicting = await startRedis({ policy: 'allkeys-lru' })
  using place = makePlace(evicting.url)
  await using child = await startChild(place, 'only', false)
  expect(await child.exited()).toBe(2)
  expect(child.log()).toContain('Redis evicts keys')
})

test('a service that does not fit the tables of jobs and events does not start', async () => {
  using place = makePlace(null)
  const start = startHere(place, [{ ...service('scheduler'), jobs: {} }])
  await expect(start).rejects.toThrow('scheduler has no handler for its job plan-tick')
})

test('a live service is announced to commands until it ends', async () => {
  using place = makePlace(null)
  await using command = await openCommand(place)
  {
    await using started = await startHere(place, [service('backup-worker'), service('notifier')])
    expect(started.process.lost.aborted).toBe(false)
    const leases = await command.deps.catalog.leases('service:')
    expect(leases.map(({ holder }) => holder.service)).toEqual(['backup-worker', 'notifier'])
  }
  expect(await command.deps.catalog.leases('service:')).toEqual([])
})
