import { expect, test } from 'vitest'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { backoffMs, decideRetry, LONGEST_WAIT_MS } from './retry.ts'

const rule = { max_failures: 4, backoff_ms: 15_000 }
const noJitter = () => 0
const lost = new SalvorError('STORE_UNREACHABLE', { store: 's3', reason: 'timeout' })

test('the wait doubles with each failure and never exceeds an hour', () => {
  const waits = [0, 1, 2, 3].map((failures) => backoffMs(15_000, failures, noJitter))
  expect(waits).toEqual([15_000, 30_000, 60_000, 120_000])
  expect(backoffMs(15_000, 1_000_000, noJitter)).toBe(LONGEST_WAIT_MS)
})

test('jitter shortens a wait by at most a fifth', () => {
  expect(backoffMs(10_000, 0, () => 0.999_999)).toBeGreaterThanOrEqual(8_000)
  expect(backoffMs(10_000, 0, () => 0.5)).toBe(9_000)
})

test('an error that no repetition can help ends the run at once', () => {
  expect(decideRetry(new SalvorError('SOURCE_MISSING'), 0, rule, noJitter)).toEqual({ kind: 'failed' })
})

test('the last allowed failure makes a run dead', () => {
  expect(decideRetry(lost, 2, rule, noJitter)).toMatchObject({ kind: 'retry', dead: false })
  expect(decideRetry(lost, 3, rule, noJitter)).toMatchObject({ kind: 'retry', dead: true })
})

test('a throttled channel is waited for as long as it asked, however often it asks', () => {
  const throttled = new SalvorError('CHANNEL_THROTTLED', { channel: 'slack', seconds: '42' })
  expect(decideRetry(throttled, 29, { max_failures: 30, backoff_ms: 2000 }, noJitter)).toEqual({
    kind: 'again',
    wait_ms: 42_000,
  })
})

test('a throttled channel that names no number of seconds is asked again after one', () => {
  const throttled = new SalvorError('CHANNEL_THROTTLED', { channel: 'slack', seconds: 'soon' })
  expect(decideRetry(throttled, 0, rule, noJitter)).toEqual({ kind: 'again', wait_ms: 1000 })
})

test('a busy source is no failure', () => {
  expect(decideRetry(new SalvorError('SOURCE_BUSY', { source: 'clinic' }), 3, rule, noJitter).kind).toBe('again')
})
