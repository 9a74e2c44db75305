import type { SalvorEvent } from '@salvor/shared/messages/events'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import { BROKEN, completedEvent, enqueueCopy, livingHolder, WORKER } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const LISTENERS = ['verifier', 'replicator', 'notifier'] as const
/** Older than now: everything that is over. */
const ALL = 0

const publish = (catalog: Catalog): Promise<SalvorEvent> =>
  catalog.transaction(WORKER, (tx) => tx.publish(completedEvent()))

async function acknowledge(catalog: Catalog, event: SalvorEvent, services: readonly (typeof LISTENERS)[number][]) {
  for (const service of services) await catalog.transaction({ service }, (tx) => tx.acknowledge(event.id, service))
}

/** What the replicator plans from an event, as often as the event comes. */
const planFrom = (catalog: Catalog, event: SalvorEvent) =>
  catalog.transaction({ service: 'replicator', causation_id: event.id }, (tx) =>
    tx.enqueue({ job: 'replicate-copy', params: { backup_id: 'b' }, unique_key: `replicate/${event.id}` }),
  )

async function end(catalog: Catalog, id: string, how: 'succeeded' | 'failed' | 'dead'): Promise<void> {
  const run = await catalog.claimRun(id, livingHolder(), 60_000)
  await catalog.transaction(WORKER, (tx) =>
    tx.endRun(
      id,
      run!.attempt,
      how === 'succeeded'
        ? { kind: 'succeeded' }
        : how === 'failed'
          ? { kind: 'failed', error: BROKEN }
          : { kind: 'retry', error: BROKEN, not_before: '2020-01-01T00:00:00.000000Z', dead: true },
    ),
  )
}

/** What only grows is cut back, and nothing comes to life again by it. */
export function pruneContract(open: OpenCatalog): void {
  test('an event goes when all have handled it and it is old; one that somebody has not handled stays', async () => {
    await using place = await open()
    const { catalog } = place
    const [done, half] = [await publish(catalog), await publish(catalog)]
    await acknowledge(catalog, done, LISTENERS)
    await acknowledge(catalog, half, ['verifier', 'notifier'])
    expect(await catalog.prune(60_000, 10)).toEqual({ events: 0, runs: 0 })
    expect(await catalog.prune(ALL, 10)).toEqual({ events: 1, runs: 0 })
    expect(await catalog.event(done.id)).toBeNull()
    expect(await catalog.undelivered('replicator', { limit: 10 })).toEqual([half.id])
    expect(await catalog.unsentEvents('any', 10)).toEqual([{ id: half.id, type: 'backup.completed' }])
  })

  test('a message about a pruned event leads to nothing', async () => {
    await using place = await open()
    const { catalog } = place
    const event = await publish(catalog)
    await acknowledge(catalog, event, LISTENERS)
    await catalog.prune(ALL, 10)
    expect(await catalog.transaction({ service: 'verifier' }, (tx) => tx.acknowledge(event.id, 'verifier'))).toBe(false)
    expect(await catalog.undelivered('verifier', { limit: 10 })).toEqual([])
  })

  test('a run stays while the event that planned it can come again, so that nothing is planned twice', async () => {
    await using place = await open()
    const { catalog } = place
    const event = await publish(catalog)
    const run = await planFrom(catalog, event)
    await end(catalog, run.id, 'succeeded')
    await acknowledge(catalog, event, ['verifier', 'replicator'])
    expect(await catalog.prune(ALL, 10)).toEqual({ events: 0, runs: 0 })
    expect((await planFrom(catalog, event)).id).toBe(run.id)
    await acknowledge(catalog, event, ['notifier'])
    expect(await catalog.prune(ALL, 10)).toEqual({ events: 1, runs: 1 })
    expect(await catalog.run(run.id)).toBeNull()
  })

  test('what is queued, running or waits for a person stays, together with the event it is about', async () => {
    await using place = await open()
    const { catalog } = place
    const kept = []
    for (const state of ['queued', 'running', 'dead'] as const) {
      const event = await publish(catalog)
      const run = await planFrom(catalog, event)
      await acknowledge(catalog, event, LISTENERS)
      if (state === 'running') await catalog.claimRun(run.id, livingHolder(), 60_000)
      if (state === 'dead') await end(catalog, run.id, 'dead')
      kept.push({ event, run })
    }
    const parked = await publish(catalog)
    await acknowledge(catalog, parked, ['verifier', 'replicator'])
    await catalog.failDelivery(parked.id, 'notifier', BROKEN, null)
    expect(await catalog.prune(ALL, 10)).toEqual({ events: 0, runs: 0 })
    expect((await catalog.deadLetters()).map(({ kind }) => kind)).toEqual(['run', 'event'])
    for (const { event, run } of kept) {
      expect([await catalog.event(event.id), await catalog.run(run.id)]).not.toContain(null)
    }
  })

  test('it goes in batches, the oldest first, and leaves backups and the audit alone', async () => {
    await using place = await open()
    const { catalog } = place
    await catalog.transaction(WORKER, (tx) => tx.audit({ actor: 'a', action: 'b', object: 'c', outcome: 'd' }))
    const runs = []
    for (const how of ['succeeded', 'failed', 'succeeded'] as const) {
      const run = await enqueueCopy(catalog)
      await end(catalog, run.id, how)
      runs.push(run.id)
    }
    expect(await catalog.prune(ALL, 2)).toEqual({ events: 0, runs: 2 })
    expect((await catalog.runs({})).map(({ id }) => id)).toEqual([runs[2]])
    expect(await catalog.prune(ALL, 2)).toEqual({ events: 0, runs: 1 })
    expect(await catalog.verifyAudit()).toBeNull()
  })
}
