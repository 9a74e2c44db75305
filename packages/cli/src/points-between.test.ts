import { expect, test } from 'vitest'
import { withEnds } from './points-between.ts'

const at = (minute: number): string => `2025-11-27T14:${String(minute).padStart(2, '0')}:00.000000Z`
const point = (minute: number) => ({ at: at(minute), backup_id: 'b' })
/** Sets of minutes 1 to 10 and 20 to 30; between them everything was lost. */
const MINUTES = Array.from({ length: 30 }, (_, n) => n + 1).filter((minute) => minute <= 10 || minute >= 20)
const INSTANTS = {
  latest: at(30),
  counted: MINUTES.map(at),
  at: (instant: string) => (at(10) < instant && instant < at(20) ? null : { at: instant, backup_id: 'b' }),
  between: () => null,
}

test('a time is looked at from end to end, and where an end lies in a gap, from what is next to it within', () => {
  const ends = (since?: number, until?: number, between: readonly number[] = []) =>
    withEnds(
      between.map(point),
      { ...(since !== undefined && { since: at(since) }), ...(until !== undefined && { until: at(until) }) },
      INSTANTS,
    ).map((found) => Number(found.at.slice(14, 16)))
  expect(ends(5, 8)).toEqual([5, 8])
  expect(ends(5, 25, [22])).toEqual([5, 22, 25])
  expect(ends(15, 25)).toEqual([20, 25])
  expect(ends(15, 25, [15])).toEqual([15, 25])
  expect(ends(5, 15)).toEqual([5, 10])
  expect(ends(15)).toEqual([20, 30])
  expect(ends(undefined, 15, [1])).toEqual([1, 10])
  expect(ends(12, 15)).toEqual([])
  expect(ends(40)).toEqual([])
})
