import { array, assert, integer, nat, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { ZeroRanges } from './zero-ranges.ts'

test('cut by frames, ranges of zeros cover what they covered before, in whatever order and overlap they came', () => {
  const range = record({ offset: nat(1000), length: nat(300) })
  assert(
    property(array(range, { maxLength: 12 }), integer({ min: 1, max: 400 }), (ranges, frame) => {
      const expected = new Uint8Array(1400)
      for (const { offset, length } of ranges) expected.fill(1, offset, offset + length)
      const found = new Uint8Array(1400)
      const zeros = new ZeroRanges(ranges)
      for (let at = 0; at < 1400; at += frame) {
        let end = 0
        for (const [offset, length] of zeros.within(at, Math.min(frame, 1400 - at))) {
          expect(offset).toBeGreaterThanOrEqual(end)
          end = offset + length
          expect(end).toBeLessThanOrEqual(frame)
          found.fill(1, at + offset, at + end)
        }
      }
      expect(Buffer.compare(found, expected)).toBe(0)
    }),
  )
})
