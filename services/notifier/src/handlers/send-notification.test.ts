import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Notification } from '@salvor/shared/ports/channel'
import type { Deps } from '@salvor/shared/ports/service'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { sendNotification } from './send-notification.ts'

const never = new AbortController().signal
const NOW = '2025-11-27T20:39:30.000000Z'
const EVENT = { id: 'e1', type: 'restore.failed', subject: 'clinic', time: NOW }
const FAILURE = { code: 'RESTORE_FAILED', message: 'm', hint: 'h', retryable: false }
const DATA = { source: 'clinic', backup_id: null, target: '/t', error: FAILURE }

/** Sends with a channel that throws `error`, or takes the message. */
async function send(error: unknown, given: Partial<JobRun<'send-notification'>> = {}) {
  const sent: Notification[] = []
  const channel = {
    name: 'slack',
    wants: () => true,
    send: async (notification: Notification) => {
      if (error) throw error
      sent.push(notification)
    },
  }
  const event = async (id: string) => (id === 'e1' ? { ...EVENT, data: DATA } : null)
  const log = { info: () => undefined }
  const deps = { catalog: { event, now: async () => NOW }, channel: () => channel, log } as unknown as Deps
  const params = { event_id: 'e1', channel: 'slack' }
  const run = { id: 'r1', job: 'send-notification', params, attempt: 1, created_at: NOW, ...given }
  const outcome = await sendNotification.handle(run as JobRun<'send-notification'>, deps, never, () => undefined)
  return { outcome, sent }
}

test('a message carries what was decided when its event was handled', async () => {
  const incident = { key: 'clinic/restore', change: 'open' } as const
  const params = { event_id: 'e1', channel: 'slack', severity: 'critical', incident } as const
  const { sent } = await send(null, { params })
  expect(sent).toMatchObject([{ title: 'Restore failed: clinic', severity: 'critical', incident }])
  expect((await send(null)).sent).toMatchObject([{ severity: 'error', incident: null }])
})

test('a named wait is kept, after an outage too, and runs do not all come back at one moment', async () => {
  const throttled = new SalvorError('CHANNEL_THROTTLED', { channel: 'slack', seconds: '30' })
  const busy = new SalvorError('CHANNEL_FAILED', { channel: 'slack', reason: 'HTTP 503', seconds: '30' })
  const again = new Set<string>()
  for (const error of [throttled, busy])
    for (let n = 0; n < 20; n++) {
      const { outcome } = await send(error, { id: `run ${n}` })
      expect(elapsedMs(NOW, outcome.again!)).toBeGreaterThanOrEqual(30_000)
      expect(elapsedMs(NOW, outcome.again!)).toBeLessThan(35_000)
      again.add(outcome.again!)
    }
  expect(again.size).toBeGreaterThan(15)
})

test('a receiver that has only asked to wait for a day is failing', async () => {
  const throttled = new SalvorError('CHANNEL_THROTTLED', { channel: 'slack', seconds: '30' })
  const sending = send(throttled, { created_at: '2025-11-26T20:39:29.000000Z' })
  await expect(sending).rejects.toMatchObject({ code: 'CHANNEL_FAILED' })
})

test('every other failure is left to the retry policy, and a lost event is for a person', async () => {
  const refused = new SalvorError('CHANNEL_MISCONFIGURED', { channel: 'slack', reason: 'HTTP 404', seconds: '30' })
  await expect(send(refused)).rejects.toBe(refused)
  const outage = new SalvorError('CHANNEL_FAILED', { channel: 'slack', reason: 'ECONNREFUSED' })
  await expect(send(outage)).rejects.toBe(outage)
  const params = { event_id: 'gone', channel: 'slack' }
  await expect(send(null, { params })).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
})
