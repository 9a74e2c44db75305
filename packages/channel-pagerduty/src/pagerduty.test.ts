import { FAILED, RESOLVED } from '@salvor/testkit/contracts/channel'
import { startReceiver } from '@salvor/testkit/real/message-receiver'
import { expect, test } from 'vitest'
import { adapter } from './index.ts'
import { pagerDutyEvent } from './message.ts'

const never = new AbortController().signal
const KEY = 'k'.repeat(32)

test('ten failures are one page, and the next good run resolves it', async () => {
  await using receiver = await startReceiver()
  const config = { routing_key: receiver.routingKey, endpoint: receiver.pagerDutyUrl }
  const channel = adapter.open('pager', config, '019ac6f2')
  for (let n = 0; n < 10; n++) await channel.send({ ...FAILED, event_id: `event-${n}` }, never)
  expect([...receiver.openPages.keys()]).toEqual(['019ac6f2/clinic/backup'])
  await channel.send(RESOLVED, never)
  expect(receiver.openPages.size).toBe(0)
})

test('nobody is woken by plain information', () => {
  const channel = adapter.open('pager', adapter.schema.parse({ routing_key: KEY }), 'install')
  expect(channel.wants({ ...FAILED, incident: null })).toBe(false)
  expect(channel.wants(RESOLVED)).toBe(true)
})

test('a page says what failed, where, how bad, why, and what to type', () => {
  expect(pagerDutyEvent(FAILED, KEY, 'install').payload).toEqual({
    summary: 'Backup failed: clinic',
    source: 'clinic',
    severity: 'error',
    timestamp: '2025-11-27T20:39:30.294774Z',
    group: 'backups',
    class: 'backup.failed',
    custom_details: {
      Source: 'clinic',
      Type: 'full',
      'Last good': '2025-11-26 02:00:04 UTC',
      Cause: 'Cannot connect to db.internal:5432: ECONNREFUSED. Check that the server runs and is reachable.',
      Next: 'salvor backup clinic',
      Event: '019ac6f2-5b1e-7000-8000-00000000f00d',
    },
  })
})

test('an event that is too large loses details before it loses cause and command', () => {
  const fields = Array.from({ length: 3_000 }, (_, n) => ({ label: `fact ${n}`, value: 'é'.repeat(1_000) }))
  const event = pagerDutyEvent({ ...FAILED, fields }, KEY, 'install')
  expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(512 * 1024)
  expect(event.payload?.custom_details).toMatchObject({ Cause: FAILED.text, Next: FAILED.hint })
  expect(Object.keys(event.payload?.custom_details ?? {}).length).toBeGreaterThan(3_000)
})

test('two long conditions never share a page', () => {
  const keyOf = (end: string) => {
    const incident = { key: `${'x'.repeat(300)}/${end}`, change: 'open' } as const
    return pagerDutyEvent({ ...FAILED, incident }, KEY, 'install').dedup_key
  }
  expect(keyOf('corrupt/s3')).not.toBe(keyOf('corrupt/azure'))
  expect(keyOf('backup')).toHaveLength(255)
  expect(keyOf('backup')).toBe(keyOf('backup'))
})

test('a wrong integration key is named as that, and not repeated', async () => {
  await using receiver = await startReceiver()
  const channel = adapter.open('pager', { routing_key: KEY, endpoint: receiver.pagerDutyUrl }, 'install')
  await expect(channel.send(FAILED, never)).rejects.toThrow(/HTTP 400: Invalid routing key/)
  const reason = adapter.schema.safeParse({ routing_key: 'canary' }).error?.message
  expect(reason).toMatch(/32 letters and digits/)
  expect(reason).not.toMatch(/canary/)
  expect(adapter.schema.safeParse({ routing_key: KEY, endpoint: 'http://10.0.0.1/' }).success).toBe(false)
})
