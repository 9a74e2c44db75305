import { changeSetName, spanOfName, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { assertNoneUnread } from './unread-sets.ts'

const at = (seconds: number): Instant => `2026-11-27T10:00:${String(seconds).padStart(2, '0')}.000001Z`
const named = (from: number, to: number, made: string | null = null): string =>
  changeSetName({ from_at: at(from), to_at: at(to), brings_state_of: made })

/** A backup of second 0, sets up to `reached`, and nothing known to be committed until `recovers`. */
const look =
  (reached: number | null, recovers: number, kind: 'time' | 'latest' = 'time') =>
  (...names: string[]): void => {
    const sets = reached === null ? [] : [{ to_at: at(reached) } as StoredChangeSet]
    const plan = { backup_id: 'b', sets, recovers_to: at(recovers) }
    const target = kind === 'time' ? { kind, at: at(recovers) } : { kind }
    const unread = names.map((name) => ({ name, reason: 'its signature does not fit' }))
    assertNoneUnread(unread, { source: 'desk', target, backup_id: null }, plan, at(0))
  }

test('a name tells its instants', () => {
  expect(spanOfName(named(5, 6))).toEqual({ from_at: at(5), to_at: at(6) })
  expect(spanOfName(named(5, 6, 'made'))).toEqual({ from_at: at(5), to_at: at(6) })
  expect(() => spanOfName('nothing')).toThrow(RangeError)
})

test.each([
  ['behind the last set that is read, before the instant', look(5, 30), named(5, 6)],
  ['with the instant in it', look(5, 30), named(29, 31)],
  ['right behind the backup', look(null, 30), named(0, 1)],
  ['compacted, and nothing of it is there otherwise', look(5, 30), named(5, 60, 'made')],
])('an unread set refuses the instant: %s', (_, looks, name) => {
  expect(() => looks(name)).toThrow(expect.objectContaining({ code: 'TARGET_OUTSIDE_WINDOW' }))
  expect(() => looks(name)).toThrow(/cannot be read .* before it is 2026-11-27T10:00/)
})

test.each([
  ['before what is read: other sets have brought it', look(5, 30), named(3, 4)],
  ['compacted, and the sets it was made of are read', look(20, 30), named(0, 60, 'made')],
  ['behind the instant', look(5, 30), named(30, 31)],
  ['and the newest is asked for', look(5, 30, 'latest'), named(6, 7)],
])('an unread set is no harm: %s', (_, looks, name) => {
  expect(() => looks(name)).not.toThrow()
})
