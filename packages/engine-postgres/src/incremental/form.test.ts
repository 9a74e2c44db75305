import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headBytes, HeadReader, incrementalName, PAGE, plainName, SEGMENT_PAGES, writeHead } from './form.ts'

const pagesOf = (numbers: readonly number[]) => Uint32Array.from(numbers)

describe('the form of INCREMENTAL files', () => {
  test('is that of the server', () => {
    const head = writeHead({ truncation: 55, pages: pagesOf([3, 54]) })
    expect(head.length).toBe(PAGE)
    expect(head.toString('hex', 0, 20)).toBe('0d1faed302000000370000000300000036000000')
    expect(writeHead({ truncation: 7, pages: pagesOf([]) }).toString('hex')).toBe('0d1faed30000000007000000')
  })

  test('comes back from pieces of any size', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 0, max: SEGMENT_PAGES - 1 }), { maxLength: 5000 })
    const arbitrary = [numbers, fc.integer({ min: 0, max: SEGMENT_PAGES }), fc.integer({ min: 1, max: 9000 })] as const
    fc.assert(
      fc.property(...arbitrary, (found, truncation, piece) => {
        const pages = pagesOf(found.toSorted((a, b) => a - b))
        const bytes = Buffer.concat([writeHead({ truncation, pages }), Buffer.alloc(pages.length * PAGE)])
        const reader = new HeadReader(bytes.length)
        let taken = 0
        for (let at = 0; at < bytes.length && reader.head === null; at += piece) {
          taken += reader.take(bytes.subarray(at, at + piece))
        }
        expect(reader.head).toEqual({ truncation, pages })
        expect(taken).toBe(headBytes(pages.length))
      }),
      { numRuns: 50 },
    )
  })

  const bad: [string, (head: Buffer) => void, RegExp][] = [
    ['another magic number', (head) => head.writeUInt32LE(1, 0), /magic/],
    ['more pages than its size', (head) => head.writeUInt32LE(3, 4), /wrong size/],
    ['more pages than a segment', (head) => head.writeUInt32LE(SEGMENT_PAGES + 1, 4), /larger/],
    ['a length beyond a segment', (head) => head.writeUInt32LE(SEGMENT_PAGES + 1, 8), /larger/],
    ['pages out of order', (head) => head.writeUInt32LE(9, 12), /order/],
    ['a page twice', (head) => head.writeUInt32LE(5, 12), /order/],
    ['a page beyond the segment', (head) => head.writeUInt32LE(SEGMENT_PAGES, 16), /order/],
  ]
  test.each(bad)('with %s is refused', (_, change, reason) => {
    const head = writeHead({ truncation: 8, pages: pagesOf([2, 5]) })
    change(head)
    expect(() => new HeadReader(head.length + 2 * PAGE).take(head)).toThrow(reason)
  })

  test('shorter than its head is refused', () => {
    expect(() => new HeadReader(11)).toThrow(/shorter/)
  })

  test('counts in the folders of relations only', () => {
    expect(incrementalName('base/5/1259_vm.1')).toBe('base/5/INCREMENTAL.1259_vm.1')
    expect(plainName('base/5/INCREMENTAL.1259_vm.1')).toBe('base/5/1259_vm.1')
    expect(plainName('global/INCREMENTAL.1262')).toBe('global/1262')
    expect(plainName('pg_tblspc/16400/PG_17_202406281/5/INCREMENTAL.1')).toBe('pg_tblspc/16400/PG_17_202406281/5/1')
    for (const own of [
      'INCREMENTAL.1',
      'pg_xact/INCREMENTAL.0000',
      'base/5/1259',
      'global/INCREMENTAL.',
      'global/a/INCREMENTAL.1',
    ]) {
      expect(plainName(own)).toBe(null)
    }
  })
})
