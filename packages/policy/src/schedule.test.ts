import { describe, expect, test } from 'vitest'
import { nextTick, parseCron, tickAt } from './schedule.ts'

describe('schedules', () => {
  test('a cron expression fires strictly after the given instant', () => {
    expect(nextTick('0 2 * * *', 'UTC', '2026-03-01T02:00:00.000000Z')).toBe('2026-03-02T02:00:00.000000Z')
  })
  test('L is the last day of the month, also in a leap year', () => {
    expect(nextTick('0 3 L * *', 'UTC', '2028-02-01T00:00:00.000000Z')).toBe('2028-02-29T03:00:00.000000Z')
  })
  test('an hour that a clock change skips still fires once that day', () => {
    const tick = nextTick('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00.000000Z')
    expect(tick?.slice(0, 10)).toBe('2026-03-29')
  })
  test('an hour that a clock change repeats fires once', () => {
    const first = nextTick('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00.000000Z')!
    const second = nextTick('30 2 * * *', 'Europe/Berlin', first)!
    expect([first.slice(0, 10), second.slice(0, 10)]).toEqual(['2026-10-25', '2026-10-26'])
  })
  test('ticks missed while nobody looked become one run, and the next one lies in the future', () => {
    const tick = tickAt('0 * * * *', 'UTC', '2026-01-01T00:00:00.000000Z', '2026-01-01T05:30:00.000000Z')
    expect(tick).toEqual({ due_at: '2026-01-01T05:00:00.000000Z', missed: 5, next: '2026-01-01T06:00:00.000000Z' })
  })
  test('a bad expression, a date that never comes and an unknown zone are explained', () => {
    expect(parseCron('0 2 * * 0', 'UTC')).toBeNull()
    expect(parseCron('61 2 * * 0', 'UTC')).toMatch(/61|range/i)
    expect(parseCron('hello', 'UTC')).toBeTruthy()
    expect(parseCron('0 0 30 2 *', 'UTC')).toBe('this never comes')
    expect(parseCron('0 2 * * 0', 'Mars/Olympus')).toBeTruthy()
  })
})
