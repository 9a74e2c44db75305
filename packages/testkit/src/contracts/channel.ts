import { inspect } from 'node:util'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Channel, Notification } from '@salvor/shared/ports/channel'
import { expect, test } from 'vitest'
import { startReceiver, type Behaviour, type MessageReceiver } from '../real/message-receiver.ts'

/** A failed backup, as the notifier would describe it. */
export const FAILED: Notification = {
  event_id: '019ac6f2-5b1e-7000-8000-00000000f00d',
  event_type: 'backup.failed',
  severity: 'error',
  title: 'Backup failed: clinic',
  text: 'Cannot connect to db.internal:5432: ECONNREFUSED. Check that the server runs and is reachable.',
  hint: 'salvor backup clinic',
  fields: [
    { label: 'Source', value: 'clinic' },
    { label: 'Type', value: 'full' },
    { label: 'Last good', value: '2025-11-26 02:00:04 UTC' },
  ],
  time: '2025-11-27T20:39:30.294774Z',
  incident: { key: 'clinic/backup', change: 'open' },
}
export const RESOLVED: Notification = {
  ...FAILED,
  event_type: 'backup.completed',
  severity: 'info',
  title: 'Backup completed again: clinic',
  incident: { key: 'clinic/backup', change: 'resolve' },
}

const never = new AbortController().signal

export interface ChannelSuite {
  /** Opens the channel on the receiver; a send gives up after `deadlineMs`. */
  open(receiver: MessageReceiver, deadlineMs: number): Channel
  /** The same channel with an address where nobody listens. */
  openNowhere(deadlineMs: number): Channel
}

/** What `shared/ports/channel.ts` promises, for every channel. */
export function channelContract(suite: ChannelSuite): void {
  const started = async () => {
    const receiver = await startReceiver()
    return { receiver, channel: suite.open(receiver, 400), [Symbol.asyncDispose]: () => receiver.stop() }
  }
  const failure = async (channel: Channel, signal = never): Promise<SalvorError> => {
    const error = await channel.send(FAILED, signal).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(SalvorError)
    const seen = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify((error as SalvorError).toFailure())
    expect(seen).not.toMatch(/canary/)
    return error as SalvorError
  }

  test('a message that is taken is there once', async () => {
    await using at = await started()
    expect(at.channel.wants(FAILED)).toBe(true)
    await at.channel.send(FAILED, never)
    expect(at.receiver.messages).toHaveLength(1)
    expect(at.receiver.requests).toBe(1)
  })

  test('a receiver that asks to slow down is named with the seconds it asked for, and was asked once', async () => {
    await using at = await started()
    at.receiver.next({ status: 429, headers: { 'retry-after': '17' } }, { status: 429 })
    const error = await failure(at.channel)
    expect([error.code, error.facts.seconds, error.retryable]).toEqual(['CHANNEL_THROTTLED', '17', true])
    expect(Number((await failure(at.channel)).facts.seconds)).toBeGreaterThan(0)
    expect(at.receiver.requests).toBe(2)
    await at.channel.send(FAILED, never)
    expect(at.receiver.messages).toHaveLength(1)
  })

  const outages: Record<string, Behaviour> = {
    'an internal error': { status: 500 },
    'an overloaded gateway': { status: 503, headers: { 'retry-after': '60' } },
    'a request timeout': { status: 408 },
    'a cut connection': 'cut',
    'a receiver that never answers': 'hang',
  }
  for (const [name, behaviour] of Object.entries(outages))
    test(`${name} is an outage that a later try may get over`, async () => {
      await using at = await started()
      at.receiver.next(behaviour)
      const error = await failure(at.channel)
      expect([error.code, error.retryable]).toEqual(['CHANNEL_FAILED', true])
      await at.channel.send(FAILED, never)
    })

  test('an address where nobody listens is an outage', async () => {
    expect((await failure(suite.openNowhere(400))).code).toBe('CHANNEL_FAILED')
  })

  const refusals: Record<string, Behaviour> = {
    'a bad request': { status: 400, body: 'no such path: /services/canary' },
    'a refusal': { status: 403, body: '{"message":"canary"}' },
    'an address that is gone': { status: 404 },
    'a redirect to another host': { status: 302, headers: { location: 'http://127.0.0.1:9/canary' } },
    'a login page in place of the receiver': { status: 200, body: '<html>Sign in</html>' },
  }
  for (const [name, behaviour] of Object.entries(refusals))
    test(`${name} is final: no retry can help`, async () => {
      await using at = await started()
      at.receiver.next(behaviour)
      const error = await failure(at.channel)
      expect([error.code, error.retryable]).toEqual(['CHANNEL_MISCONFIGURED', false])
      expect(at.receiver.requests).toBe(1)
    })

  test('an answer without end is not read for long', async () => {
    await using at = await started()
    at.receiver.next('flood')
    expect((await failure(suite.open(at.receiver, 60_000))).code).toBe('CHANNEL_FAILED')
    expect(at.receiver.floodedBytes).toBeLessThan(16 * 1024 * 1024)
  })

  test('an abort ends a send at once, as an interruption', async () => {
    await using at = await started()
    at.receiver.always('hang')
    const channel = suite.open(at.receiver, 60_000)
    const error = await failure(channel, AbortSignal.timeout(50))
    expect([error.code, error.retryable]).toEqual(['INTERRUPTED', true])
    expect((await failure(channel, AbortSignal.abort())).code).toBe('INTERRUPTED')
  })

  test('a notification at every limit is cut to what the receiver takes', async () => {
    await using at = await started()
    const long = '<&> "é" 🚨\n`x` *y*\u0000'.repeat(4_000)
    const fields = Array.from({ length: 60 }, (_, n) => ({ label: `${n}${long}`, value: n % 2 ? long : '' }))
    await at.channel.send({ ...FAILED, title: long, text: long, hint: long, fields }, never)
    await at.channel.send({ ...FAILED, title: '', text: '', hint: null, fields: [] }, never)
    await at.channel.send({ ...FAILED, incident: { key: `${'s'.repeat(400)}/backup`, change: 'open' } }, never)
    await at.channel.send(RESOLVED, never)
    expect(at.receiver.messages).toHaveLength(4)
  })
}
