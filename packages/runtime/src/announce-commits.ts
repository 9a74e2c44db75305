import type { EventType } from '@salvor/shared/messages/events'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import type { Catalog, CatalogTransaction, Cause } from '@salvor/shared/ports/catalog'

/** What a committed transaction left to be delivered. */
export interface CommittedWork {
  readonly service: Cause['service']
  /** Events of these types were published. */
  readonly events: ReadonlySet<EventType>
  /** Runs became queued. */
  readonly runs: boolean
}

const ANY_EVENT = new Set(Object.keys(SUBSCRIBERS) as EventType[])

/** The same catalog; `announce` hears of every commit that left something to deliver, so that no poll is needed for it. */
export function announceCommits(catalog: Catalog, announce: (work: CommittedWork) => void): Catalog {
  return overlay(catalog, {
    async transaction<T>(cause: Cause, work: (tx: CatalogTransaction) => Promise<T>): Promise<T> {
      const left = { events: new Set<EventType>(), runs: false }
      const result = await catalog.transaction(cause, (tx) => {
        left.events.clear()
        left.runs = false
        return work(watched(tx, left))
      })
      if (left.events.size > 0 || left.runs) announce({ service: cause.service, ...left })
      return result
    },
    async replay(id: string): Promise<boolean> {
      const found = await catalog.replay(id)
      if (found) announce({ service: 'cli', events: ANY_EVENT, runs: true })
      return found
    },
  })
}

function watched(tx: CatalogTransaction, left: { events: Set<EventType>; runs: boolean }): CatalogTransaction {
  return overlay(tx, {
    publish(event) {
      left.events.add(event.type)
      return tx.publish(event)
    },
    enqueue(run) {
      left.runs = true
      return tx.enqueue(run)
    },
    endRun(runId, attempt, end) {
      left.runs ||= end.kind === 'retry' || end.kind === 'again'
      return tx.endRun(runId, attempt, end)
    },
  })
}

/** `base` with some methods replaced. A proxy, since a class with private fields cannot be spread. */
function overlay<T extends object>(base: T, over: Partial<T>): T {
  return new Proxy(base, {
    get(target, key) {
      if (Object.hasOwn(over, key)) return Reflect.get(over, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
