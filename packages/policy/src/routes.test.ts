import { EVENTS, type EventType, type SalvorEvent } from '@salvor/shared/messages/events'
import type { Route } from '@salvor/shared/ports/service'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { incidentOpenedBy, incidentsEndedBy, type IncidentChange } from './incidents.ts'
import { recipients, severityOf } from './routes.ts'

const error = { code: 'SOURCE_UNREACHABLE', message: 'm', hint: 'h', retryable: true }
const types = Object.keys(EVENTS) as EventType[]

const someEvent = fc
  .record({
    type: fc.constantFrom(...types),
    failures: fc.integer({ min: 1, max: 30 }),
    final: fc.boolean(),
    what: fc.constantFrom('replicate', 'verify'),
    backup: fc.constantFrom('full', 'incremental', 'pre_restore'),
    level: fc.constantFrom('checksum', 'decode', 'restore'),
    code: fc.constantFrom('STORE_DENIED', 'CANNOT_VERIFY_HERE', 'CHECKS_FAILED'),
  })
  .map(({ type, backup, code, ...rest }) => {
    const data = { source: 'clinic', store: 's3', backup_id: 'b', type: backup, error: { ...error, code }, ...rest }
    return { type, time: '2025-11-27T10:00:00.000000Z', data } as unknown as SalvorEvent
  })
const someRoutes: fc.Arbitrary<Route[]> = fc.array(
  fc.record({
    events: fc.option(
      fc.array(fc.constantFrom<string>(...types, 'backup.*', 'copy.*', '*', 'nothing.*'), { maxLength: 3 }),
    ),
    severity: fc.option(fc.constantFrom('info', 'warning', 'error', 'critical')),
    to: fc.array(fc.constantFrom('slack', 'pagerduty', 'ops'), { maxLength: 3 }),
  }),
  { maxLength: 4 },
)
const route = (events: string[] | null, to: string[], severity: Route['severity'] = null): Route => ({
  events,
  severity,
  to,
})
const channels = (routes: Route[], event: SalvorEvent, change: IncidentChange | null = null) =>
  recipients(routes, event, change).map(({ channel }) => channel)
const of = (type: EventType, data: object = {}) =>
  ({
    type,
    data: { source: 'clinic', store: 's3', type: 'full', failures: 1, final: true, error, ...data },
  }) as unknown as SalvorEvent

test('nobody is told twice of one event', () => {
  fc.assert(
    fc.property(someRoutes, someEvent, (routes, event) => {
      const told = channels(routes, event, incidentOpenedBy(event))
      expect(new Set(told).size).toBe(told.length)
      for (const channel of told) expect(routes.some(({ to }) => to.includes(channel))).toBe(true)
    }),
  )
})

test('whoever is told that an incident opened is told that it is over', () => {
  const ends = (
    [
      'backup.completed',
      'copy.verified',
      'copy.replicated',
      'wal-stream.recovered',
      'change-stream.recovered',
      'restore.completed',
    ] as const
  ).map((type) => of(type, { level: 'restore' }))
  const overBy = new Map(ends.flatMap((event) => incidentsEndedBy(event).map((over) => [over.key, { event, over }])))
  fc.assert(
    fc.property(someRoutes, someEvent, (routes, opening) => {
      const opened = incidentOpenedBy(opening)
      if (!opened) return
      const { event, over } = overBy.get(opened.key)!
      const told = channels(routes, event, over)
      for (const channel of channels(routes, opening, opened)) expect(told).toContain(channel)
    }),
    { numRuns: process.env['SALVOR_TEST_COUNTS'] === 'full' ? 10_000 : 500 },
  )
})

test('a route with a severity speaks with it, but a recovery is never an alarm', () => {
  fc.assert(
    fc.property(someRoutes, someEvent, (routes, event) => {
      for (const change of incidentsEndedBy(event))
        for (const { severity } of recipients(routes, event, change)) expect(severity).toBe('info')
    }),
  )
  const routes = [route(['copy.*'], ['pagerduty'], 'warning'), route(null, ['slack', 'pagerduty'])]
  expect(recipients(routes, of('copy.corrupt'), null)).toEqual([
    { channel: 'pagerduty', severity: 'warning' },
    { channel: 'slack', severity: 'critical' },
  ])
})

test('without named events a channel hears of failures, corruption, recoveries, completed backups and files that are gone', () => {
  const told = types.filter((type) => channels([route(null, ['slack'])], of(type)).length > 0)
  expect(told.toSorted()).toEqual([
    'backup.completed',
    'backup.failed',
    'change-stream.failed',
    'copy.corrupt',
    'copy.failed',
    'restore.failed',
    'source.vanished',
    'wal-gap.detected',
    'wal-stream.failed',
  ])
  const recovered = { key: 'clinic/corrupt/s3', change: 'resolve', opened_by: 'copy.corrupt' } as const
  expect(channels([route(null, ['slack'])], of('copy.verified'), recovered)).toEqual(['slack'])
})

test('thirty retries of one copy are two messages, unless every event is asked for', () => {
  const events = Array.from({ length: 30 }, (_, n) => of('copy.failed', { failures: n + 1, final: n === 29 }))
  const told = (routes: Route[]) => events.filter((event) => channels(routes, event).length > 0).length
  expect(told([route(null, ['slack'])])).toBe(2)
  expect(told([route(['*'], ['slack'])])).toBe(30)
})

test('patterns name a group, everything, or one event', () => {
  const event = of('backup.failed')
  for (const pattern of ['backup.*', '*', 'backup.failed'])
    expect(channels([route([pattern], ['slack'])], event)).toEqual(['slack'])
  for (const pattern of ['backup', 'back*', 'copy.*', '*.failed', 'backup.completed', ''])
    expect(channels([route([pattern], ['slack'])], event)).toEqual([])
})

test('the worse it is, the louder it is said', () => {
  expect(severityOf(of('backup.failed', { final: false }))).toBe('warning')
  expect(severityOf(of('backup.failed', { failures: 2, final: false }))).toBe('error')
  expect(severityOf(of('copy.corrupt'))).toBe('critical')
  expect(severityOf(of('copy.failed'))).toBe('error')
  expect(severityOf(of('copy.failed', { error: { ...error, code: 'CHECKS_FAILED' } }))).toBe('critical')
  expect(severityOf(of('copy.failed', { error: { ...error, code: 'CANNOT_VERIFY_HERE' } }))).toBe('warning')
})
