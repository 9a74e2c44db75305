import { expect, test } from 'vitest'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { drainHere } from './drain.ts'
import { backupOf, enqueue, openWorld, publishRegistered, replication, service } from './world.fixture.ts'

const never = new AbortController().signal

test('a command executes what it asked for and everything that follows from it, in order', async () => {
  await using world = await openWorld()
  const order: string[] = []
  const definitions = [
    service('backup-worker', {
      jobs: {
        'take-backup': {
          async handle() {
            order.push('backup')
            const error = new SalvorError('INTERNAL').toFailure()
            const data = { source: 'clinic', run_id: 'r', type: 'full' as const, failures: 1, final: true, error }
            return { commit: async (tx) => void (await tx.publish({ type: 'backup.failed', subject: 'clinic', data })) }
          },
        },
      },
    }),
    service('notifier', {
      subscriptions: {
        'backup.failed': async () => async (tx) => void (await tx.enqueue(replication)),
      },
    }),
    service('replicator', { jobs: { 'replicate-copy': { handle: async () => ({ result: order.push('copy') }) } } }),
  ]
  const run = await enqueue(world.catalog, { ...backupOf('clinic'), pool: 'command-1' })
  const other = await enqueue(world.catalog, backupOf('clinic'))
  const runs = await drainHere(definitions, world.deps, world.holder, {
    correlation_id: run.correlation_id,
    signal: never,
  })
  expect(order).toEqual(['backup', 'copy'])
  expect(runs.map(({ state }) => state)).toEqual(['succeeded', 'succeeded'])
  expect((await world.catalog.run(other.id))!.state).toBe('queued')
})

test('a run that waits for its turn is waited for; one that failed is left to the services', async () => {
  await using world = await openWorld()
  let turns = 0
  const waits = service('backup-worker', {
    jobs: {
      'take-backup': {
        handle: async (_run, deps) => (turns++ === 0 ? { again: shifted(await deps.catalog.now(), 300) } : {}),
      },
    },
  })
  const fails = service('replicator', {
    jobs: {
      'replicate-copy': {
        async handle() {
          throw new SalvorError('STORE_UNREACHABLE', { store: 's3', reason: 'timeout' })
        },
      },
    },
  })
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const copy = await enqueue(world.catalog, { ...replication, correlation_id: run.correlation_id })
  await drainHere([waits, fails], world.deps, world.holder, { correlation_id: run.correlation_id, signal: never })
  expect((await world.catalog.run(run.id))!.state).toBe('succeeded')
  expect(await world.catalog.run(copy.id)).toMatchObject({ state: 'queued', failures: 1 })
})

test('an interrupted command stops what it does, and leaves nothing running', async () => {
  await using world = await openWorld()
  const cut = new AbortController()
  const definitions = [
    service('backup-worker', {
      jobs: {
        'take-backup': {
          handle: (_run, _deps, signal) =>
            new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error))
              cut.abort()
            }),
        },
      },
    }),
  ]
  const run = await enqueue(world.catalog, backupOf('clinic'))
  const runs = await drainHere(definitions, world.deps, world.holder, {
    correlation_id: run.correlation_id,
    signal: cut.signal,
  })
  expect(runs).toMatchObject([{ state: 'failed', error: { code: 'INTERRUPTED' } }])
})

test('events of other commands are not touched', async () => {
  await using world = await openWorld()
  const mine = await publishRegistered(world.catalog, 'clinic')
  const theirs = await publishRegistered(world.catalog, 'desk')
  await drainHere([service('backup-worker')], world.deps, world.holder, {
    correlation_id: mine.correlationid,
    signal: never,
  })
  expect(await world.catalog.undelivered('backup-worker', { limit: 10 })).toEqual([theirs.id])
})
