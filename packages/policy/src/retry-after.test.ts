import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { retryAfterSeconds } from './retry-after.ts'

test('a number of seconds is waited for as it is named', () => {
  expect(retryAfterSeconds('30', null)).toBe(30)
  expect(retryAfterSeconds(' 1.2 ', null)).toBe(2)
})

test('an HTTP date is measured against the date of the answer, whatever the clock here says', () => {
  expect(retryAfterSeconds('Thu, 27 Nov 2025 20:40:00 GMT', 'Thu, 27 Nov 2025 20:39:15 GMT')).toBe(45)
  expect(retryAfterSeconds('Thu, 27 Nov 2025 20:40:00 GMT', null)).toBeNull()
})

test('a moment in the past waits one second, a day waits an hour', () => {
  expect(retryAfterSeconds('Thu, 27 Nov 2025 20:39:00 GMT', 'Thu, 27 Nov 2025 20:39:15 GMT')).toBe(1)
  expect(retryAfterSeconds('0', null)).toBe(1)
  expect(retryAfterSeconds('86400', null)).toBe(3600)
})

test('what is not a time is no answer, and nothing makes the wait endless', () => {
  for (const text of [null, '', 'soon', '-5', '1/2', 'NaN', 'Infinity'])
    expect(retryAfterSeconds(text, null)).toBeNull()
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, date) => {
      const seconds = retryAfterSeconds(text, date)
      expect(seconds === null || (seconds >= 1 && seconds <= 3600)).toBe(true)
    }),
  )
})
