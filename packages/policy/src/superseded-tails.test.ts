import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { supersededTails } from './superseded-tails.ts'

interface Sample {
  readonly kind: 'segment' | 'tail'
  readonly from: number
  readonly to: number
  readonly store?: string
  readonly system_id?: string
  readonly timeline?: number
}

const pieceOf = ({ kind, from, to, store = 'local', system_id = '7', timeline = 1 }: Sample) => ({
  kind,
  name: `${kind} ${from}-${to}`,
  store,
  system_id,
  timeline,
  start_lsn: lsnText(BigInt(from)),
  end_lsn: lsnText(BigInt(to)),
})
const superseded = (...samples: readonly Sample[]): string[] =>
  supersededTails(samples.map(pieceOf))
    .map(({ name }) => name)
    .toSorted()
const tail = (from: number, to: number, more: Partial<Sample> = {}): Sample => ({ kind: 'tail', from, to, ...more })

test('tails within their segment, or within one longer tail, are worth nothing; others stay', () => {
  expect(superseded(tail(0, 4), tail(4, 8), tail(0, 8), tail(8, 9))).toEqual(['tail 0-4', 'tail 4-8'])
  expect(superseded({ kind: 'segment', from: 0, to: 16 }, tail(3, 16), tail(16, 17))).toEqual(['tail 3-16'])
  expect(superseded(tail(0, 4), tail(2, 6), tail(4, 8))).toEqual([])
})

test('what lies in another store, on another timeline or in another cluster covers nothing', () => {
  for (const other of [{ store: 's3' }, { timeline: 2 }, { system_id: '8' }])
    expect(superseded({ kind: 'segment', from: 0, to: 16, ...other }, tail(0, 4))).toEqual([])
})

test('every byte that was stored stays stored, whatever lies there', () => {
  const sample = fc.record({
    kind: fc.constantFrom('segment', 'tail'),
    from: fc.nat(30),
    length: fc.integer({ min: 1, max: 12 }),
  })
  fc.assert(
    fc.property(fc.uniqueArray(sample, { selector: ({ from, length }) => `${from} ${length}` }), (samples) => {
      const pieces = samples.map(({ kind, from, length }) => pieceOf({ kind, from, to: from + length }))
      const gone = new Set(supersededTails(pieces))
      const kept = pieces.filter((piece) => !gone.has(piece))
      const bytes = (some: typeof pieces): Set<bigint> =>
        new Set(
          some.flatMap(({ start_lsn, end_lsn }) => {
            const start = lsnValue(start_lsn)
            return Array.from({ length: Number(lsnValue(end_lsn) - start) }, (_, n) => start + BigInt(n))
          }),
        )
      expect(bytes(kept)).toEqual(bytes(pieces))
      expect([...gone].every(({ kind }) => kind === 'tail')).toBe(true)
      expect(supersededTails(kept)).toEqual([])
    }),
  )
})
