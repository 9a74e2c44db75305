import { expect, test } from 'vitest'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { elapsedMs, shifted } from '@salvor/shared/vocabulary/instant'
import { backupOf, enqueue, openWorld } from '../world.fixture.ts'
import { createDispatch } from './dispatch.ts'
import { failedEvents, publishFailure, worker } from './worker.fixture.ts'

test('a run succeeds together with what its handler leaves, in one transaction', async () => {
  await using world = await openWorld()
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const dispatch = worker(world, {
    handle: async () => ({
      result: { bytes: 7 },
      commit: async (tx) => void (await tx.openIncident('k', 'clinic', 'seen')),
    }),
  })
  expect(await dispatch.executeRun(run.id)).toBe('done')
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'succeeded', attempt: 1, result: { bytes: 7 } })
  expect(await world.catalog.openIncidents()).toHaveLength(1)
})

test('a run that is not there to be claimed is skipped', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, { handle: async () => ({}) })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  expect(await dispatch.executeRun(run.id)).toBe('skipped')
  expect(await dispatch.executeRun('01234567-89ab-7def-8123-456789abcdef')).toBe('skipped')
})

test('the same run brought twice at once is executed once', async () => {
  await using world = await openWorld()
  let executions = 0
  const dispatch = worker(world, { handle: async () => ({ result: ++executions }) })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const both = await Promise.all([dispatch.executeRun(run.id), dispatch.executeRun(run.id)])
  expect(both.toSorted()).toEqual(['done', 'skipped'])
  expect(executions).toBe(1)
})

test('a message that comes a little early is waited for', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, { handle: async () => ({}) })
  const run = await enqueue(world.catalog, {
    ...backupOf('clinic'),
    not_before: shifted(await world.catalog.now(), 150),
  })
  expect(await dispatch.executeRun(run.id)).toBe('done')
})

test('a failure that may pass is tried again later, and is told', async () => {
  await using world = await openWorld()
  const handle = async () => {
    throw new SalvorError('STORE_UNREACHABLE', { store: 's3', reason: 'timeout' })
  }
  const dispatch = worker(world, { handle, failed: publishFailure })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  const after = (await world.catalog.run(run.id))!
  expect(after).toMatchObject({ state: 'queued', failures: 1, error: { code: 'STORE_UNREACHABLE' } })
  const wait = elapsedMs(await world.catalog.now(), after.not_before)
  expect(wait).toBeGreaterThan(13_000)
  expect(wait).toBeLessThan(15_001)
  expect(await failedEvents(world)).toHaveLength(1)
})

test('a failure that cannot pass ends the run at once', async () => {
  await using world = await openWorld()
  let final: boolean | null = null
  const dispatch = worker(world, {
    handle: async () => {
      throw new SalvorError('SOURCE_MISSING', { source: 'clinic', what: 'app.db' })
    },
    failed: (_run, _error, isFinal) => async () => void (final = isFinal),
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'failed', failures: 1 })
  expect(final).toBe(true)
})

test('a bug ends the run, is logged once with its cause, and its words stay out of the catalog', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, {
    handle: async () => {
      throw new TypeError('row of a patient')
    },
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  expect(JSON.stringify(await world.catalog.run(run.id))).not.toContain('patient')
  const logged = world.lines.filter(({ level }) => level === 'error')
  expect(logged).toHaveLength(1)
  expect(logged[0]?.facts).toMatchObject({ run_id: run.id, job: 'take-backup' })
})

test('a run that asks to wait is queued again without a failure', async () => {
  await using world = await openWorld()
  const again = shifted(await world.catalog.now(), 60_000)
  const dispatch = worker(world, { handle: async () => ({ again }) })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 0, not_before: again })
})

test('a run planned with another configuration is left for a process that has it', async () => {
  await using world = await openWorld()
  let executed = false
  const dispatch = worker(world, { handle: async () => ({ result: (executed = true) }) })
  const run = await enqueue(world.catalog, { ...backupOf('clinic'), config_hash: 'h0' })
  await dispatch.executeRun(run.id)
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 0 })
  expect(executed).toBe(false)
})

test('a run whose configuration nobody has any more fails after a quarter of an hour, and says so', async () => {
  await using world = await openWorld()
  const dispatch = worker(world, { handle: async () => ({}), failed: publishFailure })
  const run = await enqueue(world.catalog, { ...backupOf('clinic'), config_hash: 'h0' })
  const claimed = (await world.catalog.claimRun(run.id, world.holder, 1000))!
  const now = await world.catalog.now()
  const result = { differs_since: shifted(now, -16 * 60_000) }
  await world.catalog.transaction({ service: 'backup-worker' }, (tx) =>
    tx.endRun(run.id, claimed.attempt, { kind: 'again', not_before: now, result }),
  )
  await dispatch.executeRun(run.id)
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'failed', error: { code: 'CONFIG_DIFFERS' } })
  expect(await failedEvents(world)).toHaveLength(1)
})

test('a run whose last attempt ended with its process is told dead, without another attempt', async () => {
  await using world = await openWorld()
  let executed = false
  const dispatch = worker(world, {
    handle: async () => ({ result: (executed = true) }),
    failed: publishFailure,
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const error = new SalvorError('TASK_DIED', { task: 'take-backup', how: 'signal SIGKILL' }).toFailure()
  for (let failures = 0; failures < 4; failures++) {
    const { attempt = 0 } = (await world.catalog.claimRun(run.id, world.holder, 1000)) ?? {}
    const not_before = await world.catalog.now()
    const end = { kind: 'retry', error, not_before, dead: false } as const
    await world.catalog.transaction({ service: 'cli' }, (tx) => tx.endRun(run.id, attempt, end))
  }
  await dispatch.executeRun(run.id)
  expect(await world.catalog.run(run.id)).toMatchObject({ state: 'dead', error: { code: 'TASK_DIED' } })
  expect(await failedEvents(world)).toHaveLength(1)
  expect(executed).toBe(false)
})

test('a run of a job that no service here handles is parked for a person', async () => {
  await using world = await openWorld()
  const dispatch = createDispatch({ definitions: [], deps: world.deps, holder: world.holder })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  await dispatch.executeRun(run.id)
  expect(await world.catalog.deadLetters()).toMatchObject([
    { kind: 'run', id: run.id, error: { code: 'MESSAGE_INVALID' } },
  ])
})
