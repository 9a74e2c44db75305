import type { EventType, SalvorEvent } from '@salvor/shared/messages/events'
import type { Severity } from '@salvor/shared/ports/channel'
import type { Route } from '@salvor/shared/ports/service'
import type { IncidentChange } from './incidents.ts'

/** How bad an event of each type is; where it depends, on what. */
const SEVERITY: { readonly [T in EventType]: Severity | ((event: SalvorEvent<T>) => Severity) } = {
  'source.registered': 'info',
  'source.vanished': 'warning',
  'backup.started': 'info',
  'backup.completed': 'info',
  'backup.failed': ({ data }) => (data.final || data.failures > 1 ? 'error' : 'warning'),
  'copy.replicated': 'info',
  'copy.verified': 'info',
  'copy.corrupt': 'critical',
  'copy.failed': ({ data }) => {
    if (data.error.code === 'CHECKS_FAILED') return 'critical'
    return data.final && data.error.code !== 'CANNOT_VERIFY_HERE' ? 'error' : 'warning'
  },
  'recovery.proven': 'info',
  'wal-segment.stored': 'info',
  'wal-gap.detected': 'error',
  'wal-stream.failed': 'warning',
  'wal-stream.recovered': 'info',
  'change-set.stored': 'info',
  'change-stream.failed': 'warning',
  'change-stream.recovered': 'info',
  'restore.completed': 'info',
  'restore.failed': 'error',
}

/**
 * What is told where a route names no events: failures, corruption, recoveries and completed backups. A failure that is
 * retried many times is told when it is new, when it stays, and when Salvor gives up, not each time.
 */
const TOLD_BY_DEFAULT: { readonly [T in EventType]: boolean | ((event: SalvorEvent<T>) => boolean) } = {
  'source.registered': false,
  'source.vanished': true,
  'backup.started': false,
  'backup.completed': ({ data }) => data.type !== 'pre_restore',
  'backup.failed': ({ data }) => data.final || data.failures <= 2,
  'copy.replicated': false,
  'copy.verified': false,
  'copy.corrupt': true,
  'copy.failed': ({ data }) => data.final || data.failures === 3,
  'recovery.proven': false,
  'wal-segment.stored': false,
  'wal-gap.detected': true,
  'wal-stream.failed': true,
  'wal-stream.recovered': false,
  'change-set.stored': false,
  'change-stream.failed': true,
  'change-stream.recovered': false,
  'restore.completed': false,
  'restore.failed': true,
}

export interface Recipient {
  readonly channel: string
  readonly severity: Severity
}

/** Who is told of an event, each channel once, by the first route that names both. `change`: the incident it opened or ended. */
export function recipients(
  routes: readonly Route[],
  event: SalvorEvent,
  change: IncidentChange | null,
): readonly Recipient[] {
  const severities = new Map<string, Severity>()
  for (const route of routes) {
    if (!names(route, event, change)) continue
    for (const channel of route.to)
      if (!severities.has(channel)) severities.set(channel, severityFor(route, event, change))
  }
  return [...severities].map(([channel, severity]) => ({ channel, severity }))
}

/** The severity of an event that no route gives another one. */
export function severityOf(event: SalvorEvent): Severity {
  return decided(SEVERITY[event.type], event)
}

function names({ events }: Route, event: SalvorEvent, change: IncidentChange | null): boolean {
  const isEnd = change?.change === 'resolve'
  if (events === null) return isEnd || decided(TOLD_BY_DEFAULT[event.type], event)
  // Who hears of a failure hears of its end: else a page would stay open for ever.
  const types: readonly EventType[] = isEnd ? [event.type, change.opened_by] : [event.type]
  return events.some((pattern) => types.some((type) => matches(pattern, type)))
}

function severityFor(route: Route, event: SalvorEvent, change: IncidentChange | null): Severity {
  if (change?.change === 'resolve') return 'info'
  return route.severity ?? severityOf(event)
}

function matches(pattern: string, type: EventType): boolean {
  if (pattern === '*' || pattern === type) return true
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))
}

/** A row of a table above holds a value, or a rule for events of its own type. */
function decided<V>(row: V | ((event: never) => V), event: SalvorEvent): V {
  return typeof row === 'function' ? (row as (event: SalvorEvent) => V)(event) : row
}
