import { retryAfterSeconds } from '@salvor/policy/retry-after'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { PagerDutyEvent } from './message.ts'

const DEFAULT_WAIT_S = 30
const ANSWER_LIMIT = 64 * 1024
/** Statuses below 500 after which the same event may be taken later. */
const PASSING = new Set([408, 425])

export interface Delivery {
  readonly channel: string
  readonly endpoint: string
  readonly deadlineMs: number
}

/** Posts once; retries belong to the run. No error text and no cause holds the routing key: only the body carries it. */
export async function enqueue(delivery: Delivery, event: PagerDutyEvent, signal: AbortSignal): Promise<void> {
  const { channel, deadlineMs } = delivery
  let answer: Answer
  try {
    answer = await post(delivery, event, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
  } catch (error) {
    throwIfInterrupted(signal)
    throw new SalvorError('CHANNEL_FAILED', { channel, reason: networkReason(error, deadlineMs) }, error)
  }
  const { status, body, wait } = answer
  if (status >= 200 && status < 300) {
    // PagerDuty answers JSON; a login page in front of it answers 200 as well, and the page would be lost.
    if (/^\s*</.test(body)) throw misconfigured(channel, 'a web page answered instead of PagerDuty')
    return
  }
  if (status === 429) throw new SalvorError('CHANNEL_THROTTLED', { channel, seconds: String(wait ?? DEFAULT_WAIT_S) })
  if (status >= 500 || PASSING.has(status)) {
    const seconds = wait === null ? {} : { seconds: String(wait) }
    throw new SalvorError('CHANNEL_FAILED', { channel, reason: `HTTP ${status}`, ...seconds })
  }
  throw misconfigured(channel, `HTTP ${status}${complaints(body, event.routing_key)}`)
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly wait: number | null
}

async function post({ endpoint }: Delivery, event: PagerDutyEvent, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
    // A redirect is an answer like any other and is not followed.
    redirect: 'manual',
    signal,
  })
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    parts.push(part)
    size += part.length
    if (size >= ANSWER_LIMIT) break
  }
  return {
    status: response.status,
    body: Buffer.concat(parts).subarray(0, ANSWER_LIMIT).toString(),
    wait: retryAfterSeconds(response.headers.get('retry-after'), response.headers.get('date')),
  }
}

/** What PagerDuty itself found wrong: the list of a 400 answer, never free text of something in between. */
function complaints(body: string, routingKey: string): string {
  let errors: unknown
  try {
    const answer = JSON.parse(body) as { status?: unknown; errors?: unknown }
    errors = answer.status === 'invalid event' ? answer.errors : []
  } catch {
    return ''
  }
  if (!Array.isArray(errors) || errors.length === 0) return ''
  return `: ${errors.map(String).join('; ').replaceAll(routingKey, '…').slice(0, 300)}`
}

function misconfigured(channel: string, reason: string): SalvorError {
  return new SalvorError('CHANNEL_MISCONFIGURED', { channel, reason })
}

function networkReason(error: unknown, deadlineMs: number): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.name === 'TimeoutError') return `no answer within ${deadlineMs / 1000} s`
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return 'the connection broke'
}
