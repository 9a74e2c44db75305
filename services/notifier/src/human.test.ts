import { expect, test } from 'vitest'
import { ago, duration, moment, sentence, size } from './human.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.00 kB'],
  [12_345, '12.3 kB'],
  [123_456, '123 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [1_234_567_890, '1.23 GB'],
  [9_996_000_000_000, '10.0 TB'],
])('%i bytes are written as %s', (bytes, text) => {
  expect(size(bytes)).toBe(text)
})

test.each([
  [0, '0 ms'],
  [850, '850 ms'],
  [1_000, '1 s'],
  [12_340, '12.3 s'],
  [59_960, '1 min'],
  [192_000, '3 min 12 s'],
  [3_599_999, '1 h'],
  [7_500_000, '2 h 5 min'],
  [273_600_000, '3 d 4 h'],
])('%i ms are written as %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text)
})

test('moments are in UTC, and how long ago they were is said from where the reader stands', () => {
  expect(moment('2025-11-27T20:39:30.294774Z')).toBe('2025-11-27 20:39:30 UTC')
  expect(ago('2025-11-27T17:34:30.000000Z', '2025-11-27T20:39:30.000000Z')).toBe('3 h 5 min ago')
  expect(ago('2025-11-27T20:39:31.000000Z', '2025-11-27T20:39:30.000000Z')).toBe('now')
})

test('a cause reads as a sentence', () => {
  expect(sentence('locked by another program')).toBe('Locked by another program.')
  expect(sentence(' Is it running? ')).toBe('Is it running?')
  expect(sentence('')).toBe('')
})
