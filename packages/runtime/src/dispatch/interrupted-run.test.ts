import { expect, test } from 'vitest'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { backupOf, enqueue, openWorld, until } from '../world.fixture.ts'
import { failedEvents, publishFailure, worker, type Backup } from './worker.fixture.ts'

test('a run that was taken over meanwhile commits nothing, and its handler is stopped', async () => {
  await using world = await openWorld()
  let aborted = false
  let started = false
  const dispatch = worker(
    world,
    {
      async handle(_run, _deps, signal) {
        started = true
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        aborted = true
        return { commit: async (tx) => void (await tx.openIncident('late', null, 'must not be there')) }
      },
    },
    { leaseMs: 300 },
  )
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const late = dispatch.executeRun(run.id)
  await until(() => started)
  // Another process ends this attempt in the catalog, as a takeover does.
  await world.catalog.transaction({ service: 'backup-worker' }, (tx) => tx.endRun(run.id, 1, { kind: 'succeeded' }))
  expect(await late).toBe('skipped')
  expect(aborted).toBe(true)
  expect(await world.catalog.openIncidents()).toEqual([])
})

test('a catalog that cannot be reached for longer than the lease stops the handler', async () => {
  await using world = await openWorld({
    wrap: (catalog) =>
      new Proxy(catalog, {
        get: (target, key) =>
          key === 'renewRun'
            ? () => Promise.reject(new SalvorError('CATALOG_UNREACHABLE', { reason: 'gone' }))
            : bound(target, key),
      }),
  })
  let reason: unknown
  const dispatch = worker(
    world,
    {
      handle: (_run, _deps, signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject((reason = signal.reason) as Error))),
    },
    { leaseMs: 200 },
  )
  const run = await enqueue(world.catalog, backupOf('clinic'))
  expect(await dispatch.executeRun(run.id)).toBe('skipped')
  expect(reason).toMatchObject({ code: 'CATALOG_UNREACHABLE' })
})

test('the end of a run is written when the catalog comes back', async () => {
  let refusals = 0
  const gone = () => Promise.reject(new SalvorError('CATALOG_UNREACHABLE', { reason: 'restarting' }))
  await using world = await openWorld({
    wrap: (catalog) =>
      new Proxy(catalog, {
        get: (target, key) => (key === 'transaction' && refusals-- > 0 ? gone : bound(target, key)),
      }),
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const dispatch = worker(world, {
    handle: async () => {
      refusals = 2
      return { result: 'kept' }
    },
  })
  expect(await dispatch.executeRun(run.id)).toBe('done')
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'succeeded', result: 'kept' })
})

test('what a handler leaves and the catalog refuses makes the attempt a failed one', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, {
    handle: async () => ({ commit: () => Promise.reject(new SalvorError('BACKUP_UNKNOWN', { backup: 'x' })) }),
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  expect(await dispatch.executeRun(run.id)).toBe('done')
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'failed', error: { code: 'BACKUP_UNKNOWN' } })
})

test('progress can be followed in the catalog', async () => {
  await using world = await openWorld()
  let finish = (): void => undefined
  const dispatch = worker(
    world,
    {
      handle: (_run, _deps, _signal, progress) => {
        progress({ phase: 'copy', done_bytes: 5, total_bytes: 10 })
        return new Promise((resolve) => (finish = () => resolve({})))
      },
    },
    { leaseMs: 30_000 },
  )
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const running = dispatch.executeRun(run.id)
  await until(async () => (await world.catalog.run(run.id))?.progress?.done_bytes === 5)
  finish()
  expect(await running).toBe('done')
})

test('a shutdown gives the run back at once, without a failure', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, { handle: untilAborted, failed: publishFailure })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const running = dispatch.executeRun(run.id)
  await until(async () => (await world.catalog.run(run.id))?.state === 'running')
  dispatch.stop('shutdown')
  await running
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 0, error: null })
  expect(await world.catalog.dueRuns({ jobs: ['take-backup'], pools: [null], limit: 1 })).toEqual([run.id])
  expect(await failedEvents(world)).toEqual([])
})

test("a person's Ctrl-C ends the command's own run, and alarms nobody", async () => {
  await using world = await openWorld()
  const dispatch = worker(world, { handle: untilAborted, failed: publishFailure })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const running = dispatch.executeRun(run.id)
  await until(async () => (await world.catalog.run(run.id))?.state === 'running')
  dispatch.stop('cancelled')
  await running
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'failed', error: { code: 'INTERRUPTED' } })
  expect(await failedEvents(world)).toEqual([])
})

const untilAborted: Backup['handle'] = (_run, _deps, signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))

function bound(target: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key)
  return typeof value === 'function' ? value.bind(target) : value
}
