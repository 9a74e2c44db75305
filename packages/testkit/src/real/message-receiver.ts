import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { EVENT_LIMIT, pagerDutyErrors, type PagerDutyEvent } from './pagerduty-rules.ts'
import { slackRefusal } from './slack-rules.ts'

/** Something else than the normal answer, for one request. */
export type Behaviour =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  /** Takes the request and never answers. */
  | 'hang'
  /** Takes the request and cuts the connection, with or without having kept the message. */
  | 'cut'
  | 'cut-after-taking'
  /** Status 500 and a body that ends only when the other side hangs up. */
  | 'flood'

export interface ReceivedMessage {
  readonly kind: 'slack' | 'pagerduty'
  readonly body: Record<string, unknown>
}

/** Slack's incoming webhook and PagerDuty's Events API v2 on loopback. */
export interface MessageReceiver extends AsyncDisposable {
  readonly slackUrl: string
  readonly pagerDutyUrl: string
  readonly routingKey: string
  /** What was taken, in order. */
  readonly messages: readonly ReceivedMessage[]
  /** Every request that came in, taken or not. */
  readonly requests: number
  /** Bytes that went out in floods. */
  readonly floodedBytes: number
  /** PagerDuty incidents that are open now, by dedup key. */
  readonly openPages: ReadonlyMap<string, PagerDutyEvent>
  /** The next requests are answered so, one after the other; then normally again. */
  next(...behaviours: Behaviour[]): void
  /** Every request is answered so, until called with null. */
  always(behaviour: Behaviour | null): void
  /** From now on at most this many Slack messages a second; the others get 429 and `Retry-After: 1`. */
  limitSlack(perSecond: number): void
  /** Resolves when so many messages were taken. */
  waitFor(count: number, timeoutMs?: number): Promise<readonly ReceivedMessage[]>
  stop(): Promise<void>
}

const SLACK_PATH = '/services/T0SALVOR/B0TESTKIT/canary-webhook-secret'
const ROUTING_KEY = 'canary0routing0key0of0pagerduty0'

export async function startReceiver(): Promise<MessageReceiver> {
  const state = new ReceiverState()
  const server = createServer((request, response) => {
    answer(state, request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = async () => {
    if (!server.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  return {
    slackUrl: `${base}${SLACK_PATH}`,
    pagerDutyUrl: `${base}/v2/enqueue`,
    routingKey: ROUTING_KEY,
    messages: state.messages,
    get requests() {
      return state.requests
    },
    get floodedBytes() {
      return state.floodedBytes
    },
    openPages: state.openPages,
    next: (...behaviours) => void state.planned.push(...behaviours),
    always: (behaviour) => void (state.standing = behaviour),
    limitSlack: (perSecond) => void (state.slackPerSecond = perSecond),
    waitFor: (count, timeoutMs = 10_000) => state.waitFor(count, timeoutMs),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

class ReceiverState {
  readonly messages: ReceivedMessage[] = []
  readonly openPages = new Map<string, PagerDutyEvent>()
  readonly planned: Behaviour[] = []
  standing: Behaviour | null = null
  requests = 0
  floodedBytes = 0
  slackPerSecond = Infinity
  #takenAt: number[] = []

  take(kind: ReceivedMessage['kind'], body: string): void {
    this.messages.push({ kind, body: JSON.parse(body) as Record<string, unknown> })
  }

  slackIsFull(): boolean {
    const now = performance.now()
    this.#takenAt = this.#takenAt.filter((at) => now - at < 1000)
    if (this.#takenAt.length >= this.slackPerSecond) return true
    this.#takenAt.push(now)
    return false
  }

  async waitFor(count: number, timeoutMs: number): Promise<readonly ReceivedMessage[]> {
    const end = performance.now() + timeoutMs
    while (this.messages.length < count) {
      if (performance.now() > end) throw new Error(`${this.messages.length} of ${count} messages after ${timeoutMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return this.messages
  }
}

async function answer(state: ReceiverState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const body = Buffer.concat(parts).toString()
  state.requests++
  const behaviour = state.planned.shift() ?? state.standing
  if (behaviour === 'hang') return
  if (behaviour === 'flood') return flood(state, response)
  if (behaviour === 'cut') return void request.socket.destroy()
  if (behaviour === 'cut-after-taking') {
    if (request.url === SLACK_PATH) asSlack(state, body)
    else asPagerDuty(state, body)
    return void request.socket.destroy()
  }
  const reply = behaviour ?? normalAnswer(state, request, body)
  response.writeHead(reply.status, reply.headers).end(reply.body)
}

async function flood(state: ReceiverState, response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  function* endless() {
    for (;;) {
      state.floodedBytes += chunk.length
      yield chunk
    }
  }
  response.writeHead(500)
  await pipeline(endless(), response)
}

type Reply = Exclude<Behaviour, string>

function normalAnswer(state: ReceiverState, request: IncomingMessage, body: string): Reply {
  if (request.method !== 'POST') return { status: 405, body: 'method_not_allowed' }
  if (request.url === SLACK_PATH) return asSlack(state, body)
  if (request.url === '/v2/enqueue') return asPagerDuty(state, body)
  return { status: 404, body: 'no_service' }
}

function asSlack(state: ReceiverState, body: string): Reply {
  const refusal = slackRefusal(body)
  if (refusal) return { status: 400, body: refusal }
  if (state.slackIsFull()) return { status: 429, headers: { 'retry-after': '1' }, body: 'rate_limited' }
  state.take('slack', body)
  return { status: 200, headers: { 'content-type': 'text/html' }, body: 'ok' }
}

function asPagerDuty(state: ReceiverState, body: string): Reply {
  if (Buffer.byteLength(body) > EVENT_LIMIT) return { status: 413, body: '' }
  const event = JSON.parse(body) as PagerDutyEvent
  const errors = pagerDutyErrors(event, ROUTING_KEY)
  const dedup_key = event.dedup_key ?? 'made-by-pagerduty'
  if (errors.length > 0)
    return {
      status: 400,
      body: JSON.stringify({ status: 'invalid event', message: 'Event object is invalid', errors }),
    }
  if (event.event_action === 'trigger') state.openPages.set(dedup_key, event)
  if (event.event_action === 'resolve') state.openPages.delete(dedup_key)
  state.take('pagerduty', body)
  return { status: 202, body: JSON.stringify({ status: 'success', message: 'Event processed', dedup_key }) }
}
