import { createHash } from 'node:crypto'
import type { Notification, Severity } from '@salvor/shared/ports/channel'

/** An event of PagerDuty's Events API v2. */
export interface PagerDutyEvent {
  readonly routing_key: string
  readonly event_action: 'trigger' | 'resolve'
  readonly dedup_key: string
  readonly client?: string
  readonly payload?: {
    readonly summary: string
    readonly source: string
    readonly severity: Severity
    readonly timestamp: string
    readonly group: string
    readonly class: string
    readonly custom_details: Readonly<Record<string, string>>
  }
}

const DEDUP_LIMIT = 255
const SUMMARY_LIMIT = 1024
/** PagerDuty takes 512 KB; a little stays free for what proxies add. */
const BODY_LIMIT = 500_000
/** Lengths to which single details are cut, in turn, until the event fits. */
const DETAIL_LIMITS = [32_768, 4_096, 512, 64, 0]

/** The event of an incident that opens or resolves; one incident is one dedup key, however often it is told. */
export function pagerDutyEvent(notification: Notification, routingKey: string, install: string): PagerDutyEvent {
  const { incident } = notification
  if (!incident) throw new RangeError('a notification without an incident is not for PagerDuty')
  const key = { routing_key: routingKey, dedup_key: dedupKey(`${install}/${incident.key}`) }
  // A resolve needs no more than the key of what it resolves.
  if (incident.change === 'resolve') return { ...key, event_action: 'resolve' }
  for (const limit of DETAIL_LIMITS) {
    const event = trigger(notification, key, limit)
    if (Buffer.byteLength(JSON.stringify(event)) <= BODY_LIMIT) return event
  }
  return trigger({ ...notification, fields: [] }, key, 0)
}

function trigger(
  notification: Notification,
  key: Pick<PagerDutyEvent, 'routing_key' | 'dedup_key'>,
  detailLimit: number,
): PagerDutyEvent {
  const { title, event_type, severity, time, fields } = notification
  const source = fields.find(({ label }) => label === 'Source')?.value
  return {
    ...key,
    event_action: 'trigger',
    client: 'Salvor',
    payload: {
      summary: cut(title.trim() || event_type, SUMMARY_LIMIT),
      source: cut(source || 'salvor', SUMMARY_LIMIT),
      severity,
      timestamp: time,
      group: 'backups',
      class: cut(event_type, SUMMARY_LIMIT),
      custom_details: detailsOf(notification, detailLimit),
    },
  }
}

function detailsOf({ text, hint, event_id, fields }: Notification, limit: number): Record<string, string> {
  const facts = fields.map(({ label, value }) => [cut(label, Math.min(limit, SUMMARY_LIMIT)), cut(value, limit)])
  // Cause and command are what the person on call needs: they are cut last.
  const most = Math.max(limit, 4_096)
  return {
    ...Object.fromEntries(facts.filter(([label]) => label)),
    Cause: cut(text, most),
    ...(hint ? { Next: cut(hint, most) } : {}),
    Event: event_id,
  }
}

/** A key that is too long keeps its beginning, for people, and a digest of the whole, so that no two become one. */
function dedupKey(key: string): string {
  if (key.length <= DEDUP_LIMIT) return key
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 32)
  return `${key.slice(0, DEDUP_LIMIT - digest.length - 1)}-${digest}`
}

function cut(text: string, limit: number): string {
  if (text.length <= limit) return text
  return limit === 0 ? '' : `${text.slice(0, limit - 1).toWellFormed()}…`
}
