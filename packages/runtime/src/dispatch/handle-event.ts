import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import { EVENTS, type EventType, type SalvorEvent } from '@salvor/shared/messages/events'
import type { Commit, Deps, EventHandler } from '@salvor/shared/ports/service'
import { elapsedMs, shifted } from '@salvor/shared/vocabulary/instant'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { backoffMs } from '../retry.ts'
import type { DispatchContext, EventStatus } from './context.ts'
import type { DeliveryFailures } from './delivery-failures.ts'

const MAX_FAILURES = 20
const BACKOFF_MS = 2000

/** A message on its way to one service. */
interface Delivery {
  readonly eventId: string
  readonly service: ServiceName
  readonly context: DispatchContext
  readonly deps: Deps
  readonly failures: DeliveryFailures
}

/**
 * Brings an event to a service: its effect and the inbox row are one transaction, so a second delivery does nothing.
 * `done`: the effect is in the catalog. `skipped`: it was there before. `failed`: the failure is recorded. Never rejects.
 */
export async function handleEvent(
  eventId: string,
  service: ServiceName,
  context: DispatchContext,
  failures: DeliveryFailures,
): Promise<'done' | 'skipped' | 'failed'> {
  const deps = context.depsOf(service)
  const delivery = { eventId, service, context, deps, failures }
  let event: SalvorEvent | null = null
  let status: EventStatus
  try {
    event = await deps.catalog.event(eventId)
    if (event === null) {
      deps.log.warn({ event_id: eventId }, 'no such event: the message was not ours')
      return 'skipped'
    }
    status = (await deliver(event, delivery)) ? 'handled' : 'repeated'
  } catch (thrown) {
    status = await recordFailure(asSalvorError(thrown), event?.type ?? 'unknown', delivery)
  }
  if (event) context.observer.eventHandled?.(service, event.type, status, elapsedMs(event.time, deps.clock.now()))
  return status === 'handled' ? 'done' : status === 'repeated' ? 'skipped' : 'failed'
}

/** False when the service had acknowledged it before. */
async function deliver(event: SalvorEvent, { service, context, deps, failures }: Delivery): Promise<boolean> {
  const { handler, parsed } = fitting(event, context, service)
  const effect = await handler(parsed, deps)
  const first = await commitEffect(parsed, service, effect, deps)
  failures.forget(event.id, service)
  return first
}

/** MESSAGE_INVALID when the event is of a kind or form that this version does not know. */
function fitting(
  event: SalvorEvent,
  context: DispatchContext,
  service: ServiceName,
): { handler: EventHandler<EventType>; parsed: SalvorEvent } {
  const refuse = (reason: string): never => {
    throw new SalvorError('MESSAGE_INVALID', { what: `event ${event.id}`, reason })
  }
  const schema = Object.hasOwn(EVENTS, event.type)
    ? EVENTS[event.type]
    : refuse(`unknown type ${(event.type as string).slice(0, 60)}`)
  const data = schema.safeParse(event.data)
  if (!data.success) return refuse(data.error.issues.map((issue) => `${issue.path.join('.')} ${issue.code}`).join(', '))
  const handler = context.services.get(service)?.subscriptions[event.type]
  if (!handler) return refuse(`${service} does not handle ${event.type}`)
  return { handler: handler as EventHandler<EventType>, parsed: { ...event, data: data.data } as SalvorEvent }
}

/** False when the service had acknowledged it before: then nothing is written. */
function commitEffect(event: SalvorEvent, service: ServiceName, effect: Commit | null, deps: Deps): Promise<boolean> {
  const cause = { service, correlation_id: event.correlationid, causation_id: event.id }
  return deps.catalog.transaction(cause, async (tx) => {
    if (!(await tx.acknowledge(event.id, service))) return false
    await effect?.(tx)
    return true
  })
}

/** Never rejects: where the failure can't be recorded, the row stays undelivered and comes again by itself. */
async function recordFailure(error: SalvorError, type: string, delivery: Delivery): Promise<EventStatus> {
  const { eventId, service, context, deps, failures } = delivery
  const facts = { event_id: eventId, type, error }
  try {
    const before = failures.of(eventId, service)
    const dead = error.code === 'MESSAGE_INVALID' || before + 1 >= MAX_FAILURES
    const wait = backoffMs(BACKOFF_MS, before, context.random)
    const not_before = dead ? null : shifted(await deps.catalog.now(), wait)
    const count = await deps.catalog.failDelivery(eventId, service, error.toFailure(), not_before)
    // Failures of other processes are known only now; past the last one the row is dead as well.
    const late = not_before !== null && count >= MAX_FAILURES
    if (late) await deps.catalog.failDelivery(eventId, service, error.toFailure(), null)
    if (not_before === null || late) {
      failures.forget(eventId, service)
      deps.log.error({ ...facts, failures: count }, 'event parked for a person')
      return 'dead'
    }
    failures.remember(eventId, service, count)
    deps.log.warn({ ...facts, failures: count }, 'event not handled; it comes again')
    context.redeliver({ service, event_id: eventId, failures: count, not_before })
  } catch (unrecorded) {
    deps.log.error(
      { ...facts, unrecorded: asSalvorError(unrecorded).code },
      'event not handled, and the catalog is away',
    )
  }
  return 'retry'
}
