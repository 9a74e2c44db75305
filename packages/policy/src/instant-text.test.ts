import { expect, test } from 'vitest'
import { parseInstant } from './instant-text.ts'

const AT = '2025-11-27T14:02:59.000000Z'

test('an instant is written as people do, and means the same however it is written', () => {
  for (const text of [
    '2025-11-27T14:02:59Z',
    '2025-11-27 14:02:59+00',
    '2025-11-27 15:02:59+01:00',
    '2025-11-27T09:02:59 -0500',
  ])
    expect(parseInstant(text, 'America/New_York')).toBe(AT)
  expect(parseInstant('2025-11-27 14:02:59.2947', 'UTC')).toBe('2025-11-27T14:02:59.294700Z')
  expect(parseInstant('2025-11-27 14:02', 'UTC')).toBe('2025-11-27T14:02:00.000000Z')
})

test('without an offset it is local time, on both sides of a clock change', () => {
  expect(parseInstant('2025-11-27 15:02:59', 'Europe/Berlin')).toBe(AT)
  expect(parseInstant('2025-07-01 12:00:00', 'Europe/Berlin')).toBe('2025-07-01T10:00:00.000000Z')
})

test('what is no instant is none', () => {
  for (const text of [
    '',
    'yesterday',
    '2025-02-30 10:00',
    '2025-11-27',
    '2025-11-27 25:00',
    '14:02:59',
    '2025-11-27T14:02:59Z; drop',
  ])
    expect(parseInstant(text, 'UTC')).toBeNull()
})
