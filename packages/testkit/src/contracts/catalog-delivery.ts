import { setTimeout as sleep } from 'node:timers/promises'
import type { NewEvent, SalvorEvent } from '@salvor/shared/messages/events'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import { BROKEN, codeOf, completedEvent, freshId, WORKER } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const FUTURE = '2100-01-01T00:00:00.000000Z'

const publish = (catalog: Catalog, event = completedEvent()): Promise<SalvorEvent> =>
  catalog.transaction(WORKER, (tx) => tx.publish(event))
const acknowledge = (catalog: Catalog, id: string) =>
  catalog.transaction({ service: 'verifier' }, (tx) => tx.acknowledge(id, 'verifier'))
const waiting = (catalog: Catalog) => catalog.undelivered('verifier', { limit: 100 })

/** Events: published with their state change, delivered at least once, handled once. */
export function deliveryContract(open: OpenCatalog): void {
  test('a published event is there for each of its subscribers, and for nobody else', async () => {
    await using place = await open()
    const { catalog } = place
    const event = await publish(catalog)
    expect(await catalog.event(event.id)).toEqual(event)
    for (const service of ['verifier', 'replicator', 'notifier'] as const) {
      expect(await catalog.undelivered(service, { limit: 10 })).toEqual([event.id])
    }
    expect(await catalog.undelivered('scheduler', { limit: 10 })).toEqual([])
    expect(await catalog.unsentEvents('backup-worker', 10)).toEqual([{ id: event.id, type: 'backup.completed' }])
    expect(await catalog.event(freshId())).toBeNull()
  })

  test('an event carries who published it, when, and the story it belongs to', async () => {
    await using place = await open()
    const { catalog } = place
    const cause = { service: 'verifier', correlation_id: 'story', causation_id: 'run-1' } as const
    const told = await catalog.transaction(cause, (tx) => tx.publish(completedEvent('backup-1')))
    expect(told).toMatchObject({
      type: 'backup.completed',
      source: 'verifier',
      subject: 'backup-1',
      time: expect.any(String),
      correlationid: 'story',
      causationid: 'run-1',
      data: { backup_id: 'backup-1', size_bytes: 1 },
    })
    const own = await publish(catalog)
    expect([own.correlationid, own.causationid]).toEqual([own.id, null])
    expect(await catalog.undelivered('notifier', { correlation_id: 'story', limit: 10 })).toEqual([told.id])
  })

  test('an event whose data do not fit is not published, nor is anything beside it', async () => {
    await using place = await open()
    const { catalog } = place
    const good = completedEvent()
    const bad = { ...good, data: { ...good.data, extra: 'a row of a source' } } as NewEvent<'backup.completed'>
    const publishing = catalog.transaction(WORKER, async (tx) => {
      await tx.recordClaim('clinic', 'local')
      await tx.publish(bad)
    })
    expect(await codeOf(publishing)).toBe('MESSAGE_INVALID')
    await expect(publishing).rejects.not.toThrow(/row of a source/)
    expect(await catalog.unsentEvents('any', 10)).toEqual([])
    expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
  })

  test('an event of a type or shape that this version does not know is refused when read', async () => {
    await using place = await open()
    const { catalog } = place
    const [type, data, text] = await Promise.all([publish(catalog), publish(catalog), publish(catalog)])
    await place.sql(`update outbox set type = 'backup.imagined' where id = '${type.id}'`)
    await place.sql(`update outbox set data = '{"source":1}' where id = '${data.id}'`)
    await place.sql(`update outbox set data = '{' where id = '${text.id}'`)
    for (const { id } of [type, data, text]) expect(await codeOf(catalog.event(id))).toBe('MESSAGE_INVALID')
  })

  test('each service sends its own events, once', async () => {
    await using place = await open()
    const { catalog } = place
    const mine = await publish(catalog)
    const others = await catalog.transaction({ service: 'cli' }, (tx) => tx.publish(completedEvent()))
    const unsent = async (service: 'backup-worker' | 'cli' | 'any', limit = 10) =>
      (await catalog.unsentEvents(service, limit)).map(({ id }) => id)
    expect([await unsent('backup-worker'), await unsent('cli')]).toEqual([[mine.id], [others.id]])
    expect(await unsent('any')).toEqual([mine.id, others.id])
    expect(await unsent('any', 1)).toEqual([mine.id])
    await catalog.markEventsSent([mine.id])
    await catalog.markEventsSent([])
    expect(await unsent('any')).toEqual([others.id])
    expect(await waiting(catalog)).toContain(mine.id)
  })

  test('an event that commits late is sent although a later one went before it', async () => {
    await using place = await open()
    const [early, later] = [place.catalog, await place.again()]
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const { promise: overtaken, resolve: overtake } = Promise.withResolvers<void>()
    const first = early.transaction(WORKER, async (tx) => {
      const event = await tx.publish(completedEvent())
      begin()
      await Promise.race([overtaken, sleep(300)])
      return event
    })
    await begun
    const second = publish(later).then(async (event) => {
      await later.markEventsSent([event.id])
      overtake()
      return event
    })
    const [late, sent] = await Promise.all([first, second])
    expect((await early.unsentEvents('any', 10)).map(({ id }) => id)).toEqual([late.id])
    expect((await waiting(later)).toSorted()).toEqual([late.id, sent.id].toSorted())
  })

  test('a service handles an event once, also when two of its processes try together', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    for (let round = 0; round < 5; round += 1) {
      const { id } = await publish(place.catalog)
      const told = await Promise.all([0, 1, 2, 3].map((index) => acknowledge(handles[index % 2]!, id)))
      expect(told.filter(Boolean)).toHaveLength(1)
      expect(await waiting(place.catalog)).toEqual([])
    }
    expect(await place.catalog.undelivered('notifier', { limit: 10 })).toHaveLength(5)
  })

  test('an event whose effect was rolled back is delivered again', async () => {
    await using place = await open()
    const { catalog } = place
    const { id } = await publish(catalog)
    const crash = catalog.transaction({ service: 'verifier' }, async (tx) => {
      expect(await tx.acknowledge(id, 'verifier')).toBe(true)
      throw new Error('crash')
    })
    await expect(crash).rejects.toThrow('crash')
    expect(await waiting(catalog)).toEqual([id])
    expect(await acknowledge(catalog, id)).toBe(true)
  })

  test('a service that began to listen later can handle an event once too; an event that never was, nobody', async () => {
    await using place = await open()
    const { catalog } = place
    const { id } = await publish(catalog)
    const hear = (event: string) =>
      catalog.transaction({ service: 'scheduler' }, (tx) => tx.acknowledge(event, 'scheduler'))
    expect([await hear(id), await hear(id)]).toEqual([true, false])
    expect(await hear(freshId())).toBe(false)
  })

  test('undelivered events come oldest first, up to the limit, and only after their time in the queue', async () => {
    await using place = await open()
    const { catalog } = place
    const events = [await publish(catalog), await publish(catalog), await publish(catalog)].map(({ id }) => id)
    expect(await waiting(catalog)).toEqual(events)
    expect(await catalog.undelivered('verifier', { limit: 2 })).toEqual(events.slice(0, 2))
    expect(await catalog.undelivered('verifier', { limit: 10, olderThanMs: 60_000 })).toEqual([])
    await sleep(30)
    expect(await catalog.undelivered('verifier', { limit: 10, olderThanMs: 10 })).toEqual(events)
  })

  test('a handler that failed gets the event again when its time has come', async () => {
    await using place = await open()
    const { catalog } = place
    const { id } = await publish(catalog)
    expect(await catalog.failDelivery(id, 'verifier', BROKEN, FUTURE)).toBe(1)
    expect(await waiting(catalog)).toEqual([])
    expect(await catalog.undelivered('replicator', { limit: 10 })).toEqual([id])
    expect(await catalog.failDelivery(id, 'verifier', BROKEN, await catalog.now())).toBe(2)
    expect(await waiting(catalog)).toEqual([id])
    expect(await acknowledge(catalog, id)).toBe(true)
    expect(await catalog.failDelivery(id, 'verifier', BROKEN, null)).toBe(2)
    expect(await catalog.deadLetters()).toEqual([])
    expect(await catalog.failDelivery(freshId(), 'verifier', BROKEN, null)).toBe(0)
  })

  test('an event that nobody could handle waits for a person, who can have it tried again', async () => {
    await using place = await open()
    const { catalog } = place
    const { id } = await publish(catalog)
    await catalog.failDelivery(id, 'verifier', BROKEN, null)
    expect(await waiting(catalog)).toEqual([])
    const letter = `${id}/verifier`
    expect(await catalog.deadLetters()).toEqual([
      {
        kind: 'event',
        id: letter,
        what: 'backup.completed',
        service: 'verifier',
        failures: 1,
        error: BROKEN,
        since: expect.any(String),
      },
    ])
    expect([await catalog.replay(letter), await catalog.replay(letter)]).toEqual([true, false])
    expect([await catalog.replay(freshId()), await catalog.replay(`${id}/notifier`)]).toEqual([false, false])
    expect(await catalog.deadLetters()).toEqual([])
    expect(await waiting(catalog)).toEqual([id])
  })
}
