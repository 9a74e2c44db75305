import type { EventType } from '@salvor/shared/messages/events'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Holder } from '@salvor/shared/ports/catalog'
import type { Deps, ServiceDefinition } from '@salvor/shared/ports/service'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { ServiceName } from '@salvor/shared/vocabulary/service'

/** How an attempt at a run ended, as metrics and logs say it. */
export type RunStatus = 'succeeded' | 'again' | 'retry' | 'failed' | 'dead' | 'interrupted' | 'lost'
export type EventStatus = 'handled' | 'repeated' | 'retry' | 'dead'

/** Hears what happened; counts it. Must not throw. */
export interface DispatchObserver {
  runEnded?(job: JobName, status: RunStatus, durationMs: number): void
  eventHandled?(service: ServiceName, type: EventType, status: EventStatus, sinceCommitMs: number): void
  progress?(runId: string, job: JobName, progress: RunProgress): void
}

/** An event that shall be handled once more. */
export interface Redelivery {
  readonly service: ServiceName
  readonly event_id: string
  readonly failures: number
  readonly not_before: Instant
}

export interface DispatchOptions {
  readonly definitions: readonly ServiceDefinition[]
  readonly deps: Deps
  readonly holder: Holder
  /** Uniform in [0, 1): spreads retries. */
  readonly random?: () => number
  /** A run whose holder is silent for so long is given to another. */
  readonly leaseMs?: number
  /** How long the end of an attempt is tried to be recorded while the catalog is away. */
  readonly patienceMs?: number
  readonly observer?: DispatchObserver
  /** Brings a failed delivery back in time; without it a poll finds the row. */
  readonly redeliver?: (again: Redelivery) => void
}

/** Everything that the ways to execute share. */
export interface DispatchContext {
  readonly services: ReadonlyMap<ServiceName, ServiceDefinition>
  /** With the service's name in each log line. */
  depsOf(service: ServiceName): Deps
  readonly holder: Holder
  readonly random: () => number
  readonly leaseMs: number
  readonly patienceMs: number
  readonly observer: DispatchObserver
  readonly redeliver: (again: Redelivery) => void
}

export function dispatchContext(options: DispatchOptions): DispatchContext {
  const { definitions, deps } = options
  const own = new Map(definitions.map(({ name }) => [name, withLog(deps, name)]))
  return {
    services: new Map(definitions.map((definition) => [definition.name, definition])),
    depsOf: (service) => own.get(service) ?? deps,
    holder: options.holder,
    random: options.random ?? Math.random,
    leaseMs: options.leaseMs ?? 30_000,
    patienceMs: options.patienceMs ?? 300_000,
    observer: options.observer ?? {},
    redeliver: options.redeliver ?? (() => undefined),
  }
}

/** A reload replaces the keyring, so it is asked for anew. */
function withLog(deps: Deps, service: ServiceName): Deps {
  return {
    ...deps,
    log: deps.log.child({ service }),
    get keyring() {
      return deps.keyring
    },
  }
}
