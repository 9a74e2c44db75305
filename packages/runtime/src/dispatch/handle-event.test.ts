import { expect, test } from 'vitest'
import type { EventHandler } from '@salvor/shared/ports/service'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { backupOf, openWorld, publishRegistered, service, type World } from '../world.fixture.ts'
import type { DispatchOptions } from './context.ts'
import { createDispatch } from './dispatch.ts'

function listener(world: World, handler: EventHandler<'source.registered'>, options: Partial<DispatchOptions> = {}) {
  const definitions = [service('backup-worker', { subscriptions: { 'source.registered': handler } })]
  return createDispatch({ definitions, deps: world.deps, holder: world.holder, random: () => 0, ...options })
}

const planBackup: EventHandler<'source.registered'> = async (event) => async (tx) =>
  void (await tx.enqueue(backupOf(event.data.source)))

test('an event has its effect once, however often it is delivered', async () => {
  await using world = await openWorld()
  const event = await publishRegistered(world.catalog)
  const dispatch = listener(world, planBackup)
  const results = []
  for (let times = 0; times < 3; times++) results.push(await dispatch.handleEvent(event.id, 'backup-worker'))
  expect(results).toEqual(['done', 'skipped', 'skipped'])
  const runs = await world.catalog.runs({ correlation_id: event.correlationid })
  expect(runs).toHaveLength(1)
  expect(runs[0]).toMatchObject({ causation_id: event.id })
})

test('two processes that handle one event at the same time leave one effect', async () => {
  await using world = await openWorld()
  const event = await publishRegistered(world.catalog)
  const both = await Promise.all(
    [listener(world, planBackup), listener(world, planBackup)].map((d) => d.handleEvent(event.id, 'backup-worker')),
  )
  expect(both.toSorted()).toEqual(['done', 'skipped'])
  expect(await world.catalog.runs({ correlation_id: event.correlationid })).toHaveLength(1)
})

test('an event that leads to nothing is acknowledged', async () => {
  await using world = await openWorld()
  const event = await publishRegistered(world.catalog)
  await listener(world, async () => null).handleEvent(event.id, 'backup-worker')
  expect(await world.catalog.undelivered('backup-worker', { limit: 10 })).toEqual([])
})

test('a handler that fails is asked again after a growing while', async () => {
  await using world = await openWorld()
  const event = await publishRegistered(world.catalog)
  const waits: number[] = []
  const dispatch = listener(
    world,
    async () => {
      throw new Error('boom')
    },
    { redeliver: ({ not_before }) => void waits.push(elapsedMs(event.time, not_before)) },
  )
  expect(await dispatch.handleEvent(event.id, 'backup-worker')).toBe('failed')
  expect(await world.catalog.undelivered('backup-worker', { limit: 10 })).toEqual([])
  await dispatch.handleEvent(event.id, 'backup-worker')
  const [first = 0, second = 0] = waits
  expect(first).toBeGreaterThan(1900)
  expect(second - first).toBeGreaterThan(1900)
})

test('an event whose handler failed twenty times waits for a person, also when several processes failed', async () => {
  await using world = await openWorld()
  const event = await publishRegistered(world.catalog)
  const fail: EventHandler<'source.registered'> = async () => {
    throw new Error('boom')
  }
  const processes = [listener(world, fail), listener(world, fail)]
  for (let times = 0; times < 20; times++) await processes[times % 2]?.handleEvent(event.id, 'backup-worker')
  expect(await world.catalog.deadLetters()).toMatchObject([{ kind: 'event', id: `${event.id}/backup-worker` }])
})

test('an event of a kind that this version does not know is parked at once, and nothing else with it', async () => {
  await using world = await openWorld({
    wrap: (catalog) =>
      new Proxy(catalog, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key)
          if (key !== 'event') return typeof value === 'function' ? value.bind(target) : value
          return async (id: string) => ({ ...(await catalog.event(id))!, type: 'source.exploded' })
        },
      }),
  })
  const event = await publishRegistered(world.catalog)
  expect(await listener(world, planBackup).handleEvent(event.id, 'backup-worker')).toBe('failed')
  expect(await world.catalog.deadLetters()).toMatchObject([{ kind: 'event', error: { code: 'MESSAGE_INVALID' } }])
})

test('a message about an event that never was is dropped', async () => {
  await using world = await openWorld()
  expect(await listener(world, planBackup).handleEvent('01234567-89ab-7def-8123-456789abcdef', 'backup-worker')).toBe(
    'skipped',
  )
})
