import { retryAfterSeconds } from '@salvor/policy/retry-after'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { ErrorCode, IncomingWebhook, type FetchFunction } from '@slack/webhook'
import type { SlackMessage } from './message.ts'

const DEFAULT_WAIT_S = 30
const ANSWER_LIMIT = 64 * 1024
/** Statuses below 500 after which the same message may be taken later. */
const PASSING = new Set([408, 425])

export interface Delivery {
  readonly channel: string
  readonly url: string
  readonly deadlineMs: number
}

/**
 * Posts once; retries belong to the run. No error text and no cause holds the address, which is the channel's only
 * secret: fetch names the host and port at most, and of an answer only Slack's own short words are repeated.
 */
export async function post(delivery: Delivery, message: SlackMessage, signal: AbortSignal): Promise<void> {
  let wait: number | null = null
  const fetchOnce: FetchFunction = async (url, init = {}) => {
    const signals = init.signal ? [signal, init.signal] : [signal]
    // `manual`: a redirect is an answer like any other and is not followed.
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.any(signals) })
    wait = retryAfterSeconds(response.headers.get('retry-after'), response.headers.get('date'))
    return bounded(response)
  }
  const webhook = new IncomingWebhook(delivery.url, { timeout: delivery.deadlineMs, fetch: fetchOnce })
  let answer: string
  try {
    answer = (await webhook.send(message)).text
  } catch (error) {
    throwIfInterrupted(signal)
    throw refused(delivery, error, wait)
  }
  // Slack answers `ok`; a login page in front of it answers 200 as well, and the alert would be lost.
  if (/^\s*</.test(answer)) throw misconfigured(delivery.channel, 'a web page answered instead of Slack')
}

function refused({ channel, deadlineMs }: Delivery, error: unknown, wait: number | null): SalvorError {
  const { code, statusCode, body, original } = error as {
    code?: string
    statusCode?: number
    body?: string
    original?: unknown
  }
  if (code !== ErrorCode.HTTPError || statusCode === undefined)
    return new SalvorError('CHANNEL_FAILED', { channel, reason: networkReason(original, deadlineMs) }, original)
  const word = /^[a-z_]{1,80}$/.test(body ?? '') ? ` ${body}` : ''
  const reason = `HTTP ${statusCode}${word}`
  if (statusCode === 429)
    return new SalvorError('CHANNEL_THROTTLED', { channel, seconds: String(wait ?? DEFAULT_WAIT_S) })
  if (statusCode >= 500 || PASSING.has(statusCode))
    return new SalvorError('CHANNEL_FAILED', { channel, reason, ...(wait === null ? {} : { seconds: String(wait) }) })
  return misconfigured(channel, reason)
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

/** The answer with at most 64 KiB of its body; the rest is not read. */
async function bounded(response: Response): Promise<Response> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    parts.push(part)
    size += part.length
    if (size >= ANSWER_LIMIT) break
  }
  const body = Buffer.concat(parts).subarray(0, ANSWER_LIMIT).toString()
  const { status, statusText, headers } = response
  return new Response(body || null, { status, statusText, headers })
}
