import type { ServiceName } from '@salvor/shared/vocabulary/service'

const KEPT = 10_000

/** Failed deliveries as this process knows them, for the length of the next wait; the catalog holds the true count. */
export class DeliveryFailures {
  readonly #counts = new Map<string, number>()

  of(eventId: string, service: ServiceName): number {
    return this.#counts.get(`${eventId}/${service}`) ?? 0
  }
  remember(eventId: string, service: ServiceName, count: number): void {
    this.forget(eventId, service)
    this.#counts.set(`${eventId}/${service}`, count)
    if (this.#counts.size > KEPT) this.#counts.delete(this.#counts.keys().next().value!)
  }
  forget(eventId: string, service: ServiceName): void {
    this.#counts.delete(`${eventId}/${service}`)
  }
}
