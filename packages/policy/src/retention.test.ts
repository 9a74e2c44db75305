import { durationMs } from '@salvor/shared/vocabulary/amounts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { after, backupOf, retentionUntil } from './retention.ts'

test('a year is a calendar year', () => {
  expect(after('2027-03-01T10:00:00.123456Z', '1y')).toBe('2028-03-01T10:00:00.123456Z')
  expect(after('2028-02-29T10:00:00.123456Z', '1y')).toBe('2029-03-01T10:00:00.123456Z')
})
test('durations keep the microseconds of the start', () => {
  expect(after('2025-11-27T20:39:30.294774Z', '7d')).toBe('2025-12-04T20:39:30.294774Z')
  expect(durationMs('12h')).toBe(43_200_000)
})
test('a class without a rule is kept until someone decides', () => {
  expect(retentionUntil({ full: '30d' }, 'monthly', '2025-11-27T20:39:30.294774Z')).toBeNull()
})
test('a monthly backup is a full kept by the monthly rule', () => {
  expect(backupOf('monthly')).toEqual({ type: 'full', retention_class: 'monthly' })
})
test('what is kept longer ends later', () => {
  const units = fc.constantFrom('s', 'm', 'h', 'd', 'w', 'y')
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), units, (a, b, unit) => {
      const start = '2025-11-27T20:39:30.294774Z'
      expect(after(start, `${a}${unit}`) < after(start, `${a + b}${unit}`)).toBe(true)
    }),
  )
})
