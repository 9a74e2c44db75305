import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import { instantOf } from '@salvor/shared/vocabulary/instant'
import type { RecoveryTarget } from '@salvor/shared/vocabulary/recovery'
import { segmentAt, tailName, type StoredWal } from '@salvor/shared/vocabulary/wal'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { planRecovery } from './recovery-plan.ts'
import { recoveryWindow } from './recovery-window.ts'
import type { RecoveryBase, RecoveryFacts } from './wal-line.ts'

const MB = 1 << 20
const CLUSTER = '7300000000000000001'
/** One commit a second: the commit of second `n` begins at `n` x 64 KiB, so a segment has 16. */
const STEP = 65_536
const second = (n: number): string => instantOf(1_700_000_000_000_000n + BigInt(n) * 1_000_000n)
const position = (n: number): string => lsnText(BigInt(n * STEP))

function piece(timeline: number, from: number, to: number, more: Partial<StoredWal> = {}): StoredWal {
  const start = BigInt(from * STEP)
  const end = BigInt(to * STEP)
  const segment = segmentAt(timeline, start, MB)
  const whole = from % 16 === 0 && to === from + 16
  return {
    source: 'clinic',
    store: 'local',
    name: whole ? segment : tailName(segment, end),
    kind: whole ? 'segment' : 'tail',
    system_id: CLUSTER,
    timeline,
    segment_size: MB,
    start_lsn: lsnText(start),
    end_lsn: lsnText(end),
    current_at: null,
    first_commit_at: second(from),
    last_commit_at: second(to - 1),
    last_commit_lsn: position(to - 1),
    restore_points: [],
    size_bytes: 1000,
    source_bytes: MB,
    document_sha256: '',
    stored_at: second(to),
    ...more,
  }
}

const segment = (n: number, timeline = 1): StoredWal => piece(timeline, 16 * n, 16 * n + 16)

function base(backup_id: string, start: number, stop: number, timeline = 1): RecoveryBase {
  const positions = { start_lsn: position(start), stop_lsn: position(stop) }
  return { backup_id, consistent_at: second(stop), system_id: CLUSTER, timeline, ...positions }
}

function facts(
  bases: readonly RecoveryBase[],
  wal: readonly StoredWal[],
  more: Partial<RecoveryFacts> = {},
): RecoveryFacts {
  return { bases, wal, histories: new Map(), stream: null, ...more }
}

const segments = (from: number, to: number): StoredWal[] =>
  Array.from({ length: to - from }, (_, n) => segment(from + n))

function plan(known: RecoveryFacts, target: RecoveryTarget, more: { timeline?: number; backup_id?: string } = {}) {
  const { timeline = null, backup_id = null } = more
  return planRecovery(known, { source: 'clinic', target, timeline, backup_id })
}

const time = (n: number): RecoveryTarget => ({ kind: 'time', at: second(n) })

describe('an instant', () => {
  const known = facts([base('old', 2, 4), base('new', 66, 70)], segments(0, 10))

  test('is reached from the newest backup before it, with no WAL beyond it', () => {
    const found = plan(known, time(101))
    expect(found).toMatchObject({ backup_id: 'new', timeline: 1, target: time(101), recovers_to: second(101) })
    expect(found.pieces.map(({ name }) => name)).toEqual([4, 5, 6, 7].map((n) => segment(n).name))
    expect(plan(known, time(69)).backup_id).toBe('old')
  })

  test('is reached also from a backup that was named, unless it is later', () => {
    expect(plan(known, time(101), { backup_id: 'old' }).pieces).toHaveLength(8)
    expect(() => plan(known, time(50), { backup_id: 'new' })).toThrow(/oldest backup/)
  })

  test('before the first backup, or behind the last commit, is refused and the nearest is named', () => {
    expect(() => plan(known, time(3))).toThrow(second(4))
    expect(() => plan(known, time(160))).toThrow(second(159))
    expect(plan(known, time(159))).toMatchObject({ target: { kind: 'latest' }, recovers_to: second(159) })
  })

  test('behind the last commit is reached where it is known that nothing more was committed', () => {
    const positions = { received_lsn: position(160), stored_lsn: position(160), server_lsn: position(160) }
    const words = { spool_bytes: 0, trouble: null, at: second(500) }
    const stream = {
      source: 'clinic',
      system_id: CLUSTER,
      timeline: 1,
      covered_until: second(400),
      ...positions,
      ...words,
    }
    const idle = { ...known, stream }
    expect(plan(idle, time(300))).toMatchObject({ target: { kind: 'latest' }, recovers_to: second(300) })
    expect(() => plan(idle, time(401))).toThrow(second(400))
    expect(recoveryWindow(idle)).toMatchObject([
      { earliest_at: second(4), latest_at: second(400), backups: ['old', 'new'] },
    ])
  })

  test('in a gap is refused, and the window has a stretch on either side', () => {
    const holed = facts(known.bases, [...segments(0, 3), ...segments(4, 10)])
    expect(() => plan(holed, time(55))).toThrow(`ends at ${second(47)}, and begins again at ${second(70)}`)
    expect(plan(holed, time(40)).backup_id).toBe('old')
    expect(plan(holed, time(80)).backup_id).toBe('new')
    const stretches = recoveryWindow(holed).map(({ earliest_at, latest_at }) => [earliest_at, latest_at])
    expect(stretches).toEqual([
      [second(4), second(47)],
      [second(70), second(159)],
    ])
  })
})

test('tails carry on where whole segments end, and one that does not touch does not count', () => {
  const tails = [piece(1, 160, 163), piece(1, 163, 170), piece(1, 172, 174)]
  const known = facts([base('a', 2, 4)], [...segments(0, 10), ...tails])
  expect(plan(known, { kind: 'latest' })).toMatchObject({ recovers_to: second(169) })
  expect(plan(known, time(165)).pieces.slice(-2)).toEqual(tails.slice(0, 2))
  expect(() => plan(known, time(172))).toThrow(second(169))
})

test('a source whose server was replaced is recovered from the cluster that has the target, the newest where several have it', () => {
  const replaced = (one: StoredWal): StoredWal => ({ ...one, system_id: '8', name: `8 ${one.name}` })
  const old = [base('a', 2, 4), base('b', 18, 20)]
  const later = { ...base('c', 2, 4), system_id: '8', consistent_at: second(1000) }
  const wal = segments(0, 4).map((one) =>
    replaced({ ...one, first_commit_at: second(1001), last_commit_at: second(2000) }),
  )
  const known = facts([...old, later], [...segments(0, 10), ...wal])
  expect(plan(known, time(100)).backup_id).toBe('b')
  expect(plan(known, time(1500)).backup_id).toBe('c')
  expect(plan(known, { kind: 'latest' }).backup_id).toBe('c')
  expect(plan(known, { kind: 'lsn', lsn: position(40) }).backup_id).toBe('c')
  expect(plan(known, { kind: 'lsn', lsn: position(150) }).backup_id).toBe('b')
  expect(() => plan(known, time(500))).toThrow(second(1000))
  expect(() => plan(known, { kind: 'name', name: 'nowhere' })).toThrow(/no restore point/)
})

test('a backup without WAL behind it is a window of one instant', () => {
  const alone = facts([base('a', 2, 4)], [])
  expect(recoveryWindow(alone)).toMatchObject([{ earliest_at: second(4), latest_at: second(4), backups: ['a'] }])
  expect(() => plan(alone, { kind: 'latest' })).toThrow(/no WAL is stored/)
  expect(() => plan(facts([], []), { kind: 'latest' })).toThrow(/no backup/)
})

describe('a promoted server', () => {
  // It left timeline 1 in the middle of a segment; the old server went on for a while.
  const histories = new Map([[2, [{ timeline: 1, end: lsnValue(position(40)) }]]])
  const second_line = [piece(2, 32, 48), piece(2, 48, 64)]
  const known = facts([base('a', 2, 4), base('stray', 50, 55)], [...segments(0, 5), ...second_line], { histories })

  test('is recovered across the switch: the old line up to it, then the new one', () => {
    const found = plan(known, { kind: 'latest' })
    expect(found).toMatchObject({ backup_id: 'a', timeline: 2, recovers_to: second(63) })
    expect(found.pieces.map(({ timeline }) => timeline)).toEqual([1, 1, 1, 2, 2])
  })

  test('leaves the old line to whoever names it', () => {
    expect(plan(known, { kind: 'latest' }, { timeline: 1 })).toMatchObject({
      backup_id: 'stray',
      recovers_to: second(79),
    })
    expect(() => plan(known, { kind: 'latest' }, { timeline: 7 })).toThrow(/timeline 7/)
  })
})

test('commits of an old primary behind the switch neither date the window nor end a plan before it', () => {
  const histories = new Map([[2, [{ timeline: 1, end: lsnValue(position(40)) }]]])
  // The new timeline's own first commit is of second 60, the old primary went on committing until second 47.
  const late = { first_commit_at: second(60), last_commit_at: second(63) }
  const known = facts([base('a', 2, 4)], [...segments(0, 3), piece(2, 32, 48, late)], { histories })
  const found = plan(known, time(43))
  expect(found.pieces.map(({ timeline }) => timeline)).toEqual([1, 1, 1, 2])
  expect(found).toMatchObject({ timeline: 2, target: time(43) })
  const old = facts([base('a', 2, 4)], [...segments(0, 3), piece(2, 32, 41, { last_commit_at: null })], { histories })
  expect(recoveryWindow(old)).toMatchObject([{ latest_at: second(31) }])
})

test('a backup that begins within a segment of tails gets the segment from its beginning', () => {
  const tails = [piece(1, 160, 163), piece(1, 163, 170), piece(1, 170, 174)]
  const known = facts([base('a', 165, 167)], tails)
  expect(plan(known, { kind: 'latest' }).pieces).toEqual(tails)
})

test('a backup that the clock of its worker dates too early gives way to an older one', () => {
  const early = { ...base('new', 66, 70), consistent_at: second(50) }
  const known = facts([base('old', 2, 4), early], segments(0, 10))
  expect(plan(known, time(60))).toMatchObject({ backup_id: 'old', target: time(60) })
  expect(plan(known, time(90))).toMatchObject({ backup_id: 'new' })
})

test('WAL of another cluster is never replayed', () => {
  const foreign = segments(5, 10).map((one) => ({ ...one, system_id: '1' }))
  expect(() => plan(facts([base('a', 2, 4)], [...segments(0, 5), ...foreign]), time(100))).toThrow(second(79))
})

describe('a position', () => {
  const point = { name: 'before', lsn: position(100), at: second(100) }
  const wal = segments(0, 10).map((one, n) => (n === 6 ? { ...one, restore_points: [point] } : one))
  const known = facts([base('old', 2, 4), base('new', 66, 70)], wal)

  test('is reached from the newest backup before it, with the piece in which its record may end', () => {
    const found = plan(known, { kind: 'lsn', lsn: position(101) })
    expect(found).toMatchObject({ backup_id: 'new', target: { kind: 'lsn', lsn: position(101) } })
    expect(found.pieces.map(({ name }) => name)).toEqual([4, 5, 6, 7].map((n) => segment(n).name))
    expect(plan(known, { kind: 'lsn', lsn: position(60) }).backup_id).toBe('old')
    expect(() => plan(known, { kind: 'lsn', lsn: position(3) })).toThrow(/oldest backup/)
    expect(() => plan(known, { kind: 'lsn', lsn: position(161) })).toThrow(position(160))
  })

  test('has a name where somebody gave it one', () => {
    expect(plan(known, { kind: 'name', name: 'before' })).toMatchObject({ backup_id: 'new', recovers_to: second(100) })
    expect(() => plan(known, { kind: 'name', name: 'never' })).toThrow(/no restore point/)
    const earlier = { name: 'earlier', lsn: position(20), at: second(20) }
    const two = wal.map((one, n) => (n === 1 ? { ...one, restore_points: [earlier] } : one))
    const both = facts(known.bases, two)
    expect(plan(both, { kind: 'name', name: 'earlier' })).toMatchObject({
      backup_id: 'old',
      target: { kind: 'lsn', lsn: position(20) },
      recovers_to: second(20),
    })
  })

  test('of a transaction is not known: all WAL of the newest stretch is replayed from its oldest backup', () => {
    expect(plan(known, { kind: 'xid', xid: '4711' })).toMatchObject({ backup_id: 'old' })
  })
})

test('whatever is stored, a plan never crosses a hole and never asks for more than one piece beyond its target', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(30), { maxLength: 25 }), fc.nat(480), fc.nat(400), (stored, from, at) => {
      const known = facts(
        [base('a', from, from + 3)],
        stored.map((n) => segment(n)),
      )
      let found
      try {
        found = plan(known, time(at))
      } catch {
        return
      }
      const numbers = found.pieces.map(({ start_lsn }) => Number(lsnValue(start_lsn!)) / MB)
      expect(numbers[0]).toBe(Math.floor(from / 16))
      expect(numbers.every((n, i) => i === 0 || n === numbers[i - 1]! + 1)).toBe(true)
      expect(at).toBeGreaterThanOrEqual(from + 3)
      expect(numbers.at(-1)!).toBeLessThanOrEqual(Math.floor(at / 16) + 2)
      expect(numbers.at(-1)!).toBeGreaterThanOrEqual(Math.floor(at / 16))
    }),
  )
})
