import { BACKUP_STATES, COPY_STATES, type CopyState } from '@salvor/shared/vocabulary/backup'
import { VERIFICATION_LEVELS } from '@salvor/shared/vocabulary/verification'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { backupStateOf, copyStateAfter } from './copy-state.ts'

const numRuns = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 100_000 : 2_000
const ORDER: readonly CopyState[] = ['pending', 'corrupt', 'completed', 'verified', 'proven']
const rank = (state: CopyState) => ORDER.indexOf(state)

const copy = fc.constantFrom(...COPY_STATES)
const level = fc.constantFrom(...VERIFICATION_LEVELS)
const backup = fc.constantFrom(...BACKUP_STATES)
const copies = fc.array(copy, { maxLength: 6 })

test('a good look never weakens a copy, and shows at least what its level can show', () => {
  fc.assert(
    fc.property(copy, level, (present, level) => {
      const after = copyStateAfter(present, level, true)
      expect(rank(after)).toBeGreaterThanOrEqual(rank(present))
      const shown = { checksum: 'completed', decode: 'verified', restore: 'proven' } as const
      expect(rank(after)).toBe(Math.max(rank(present), rank(shown[level])))
    }),
    { numRuns },
  )
})
test('after a bad look nobody calls a copy good', () => {
  fc.assert(
    fc.property(copy, level, (present, level) => {
      expect(copyStateAfter(present, level, false)).toBe(present === 'pending' ? 'pending' : 'corrupt')
    }),
    { numRuns },
  )
})
test('whatever was seen before, the last look decides between good and corrupt', () => {
  const looks = fc.array(fc.record({ level, ok: fc.boolean() }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(looks, (looks) => {
      const after = looks.reduce<CopyState>((state, { level, ok }) => copyStateAfter(state, level, ok), 'completed')
      expect(after === 'corrupt').toBe(!looks.at(-1)!.ok)
    }),
    { numRuns },
  )
})
test('a backup is as good as its strongest good copy, whatever the order', () => {
  fc.assert(
    fc.property(backup, copies, fc.nat(), (present, copies, turn) => {
      const state = backupStateOf(present, copies)
      const there = copies.filter((each) => each !== 'pending')
      const strongest = there.length === 0 ? rank(present) : Math.max(...there.map(rank))
      expect(rank(state)).toBe(strongest)
      const turned = [...copies.slice(turn % 6), ...copies.slice(0, turn % 6)]
      expect(backupStateOf(present, turned)).toBe(state)
    }),
    { numRuns },
  )
})
test('a backup is corrupt exactly when a copy is corrupt and none is good', () => {
  fc.assert(
    fc.property(copies, (copies) => {
      const good = copies.some((state) => rank(state) > rank('corrupt'))
      expect(backupStateOf('completed', copies) === 'corrupt').toBe(!good && copies.includes('corrupt'))
    }),
    { numRuns },
  )
})
