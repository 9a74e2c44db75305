const SEVERITIES = ['critical', 'error', 'warning', 'info']
export const EVENT_LIMIT = 512 * 1024

export interface PagerDutyEvent {
  routing_key: string
  event_action: 'trigger' | 'acknowledge' | 'resolve'
  dedup_key?: string
  payload?: { summary: string; source: string; severity: string; timestamp?: string; custom_details?: unknown }
}

/** Events API v2: what is wrong with an event, in PagerDuty's words; empty: it is accepted. */
export function pagerDutyErrors(event: Partial<PagerDutyEvent>, routingKey: string): string[] {
  const errors: string[] = []
  const { routing_key = '', event_action = '', dedup_key, payload } = event
  if (routing_key.length !== 32) errors.push("Length of 'routing_key' is incorrect (should be 32 characters)")
  else if (routing_key !== routingKey) errors.push('Invalid routing key')
  if (!['trigger', 'acknowledge', 'resolve'].includes(event_action)) errors.push("'event_action' is invalid")
  if (event_action !== 'trigger' && !dedup_key) errors.push("'dedup_key' is missing or blank")
  if ((dedup_key ?? '').length > 255) errors.push("Length of 'dedup_key' is incorrect (should be at most 255)")
  if (event_action !== 'trigger') return errors
  if (!payload) return [...errors, "'payload' is missing or blank"]
  if (!payload.summary) errors.push("'payload.summary' is missing or blank")
  if (payload.summary?.length > 1024) errors.push("Length of 'payload.summary' is incorrect (should be at most 1024)")
  if (!payload.source) errors.push("'payload.source' is missing or blank")
  if (!SEVERITIES.includes(payload.severity)) errors.push("'payload.severity' is invalid")
  if (payload.timestamp !== undefined && Number.isNaN(Date.parse(payload.timestamp)))
    errors.push("'payload.timestamp' is invalid")
  return errors
}
