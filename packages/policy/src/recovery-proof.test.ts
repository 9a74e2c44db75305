import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { instantOf } from '@salvor/shared/vocabulary/instant'
import { segmentAt, type StoredWal } from '@salvor/shared/vocabulary/wal'
import { expect, test } from 'vitest'
import { recoveryToProve, recoveryWithin } from './recovery-proof.ts'
import { gapsLeft } from './wal-faults.ts'
import type { RecoveryBase, RecoveryFacts } from './wal-line.ts'

const MB = 1 << 20
const at = (segment: number): string => instantOf(1_700_000_000_000_000n + BigInt(segment) * 1_000_000n)

/** The `n`th segment, with one commit. */
function segment(n: number, store = 'local'): StoredWal {
  const [start_lsn, end_lsn] = [lsnText(BigInt(n * MB)), lsnText(BigInt((n + 1) * MB))]
  const name = segmentAt(1, BigInt(n * MB), MB)
  const commits = { first_commit_at: at(n), last_commit_at: at(n), last_commit_lsn: lsnText(BigInt(n * MB + 64)) }
  const place = { source: 'clinic', store, name, kind: 'segment', system_id: '1', timeline: 1 } as const
  const sizes = { segment_size: MB, size_bytes: 1, source_bytes: MB }
  const rest = { current_at: null, restore_points: [], document_sha256: '', stored_at: at(n + 1) }
  return { ...place, ...commits, ...sizes, ...rest, start_lsn, end_lsn }
}

function base(backup_id: string, n: number): RecoveryBase {
  const ends = { start_lsn: lsnText(BigInt(n * MB + 8)), stop_lsn: lsnText(BigInt(n * MB + 16)) }
  return { backup_id, consistent_at: at(n), system_id: '1', timeline: 1, ...ends }
}

const [DAY_BEFORE, LATE] = ['2023-11-16T12:00:00.000000Z', '2023-11-17T12:00:00.000000Z']
const bases = [base('newest', 6), base('first', 1), base('middle', 3)]
const facts: RecoveryFacts = {
  bases,
  wal: [1, 2, 3, 4, 5, 6, 7].map((n) => segment(n)),
  histories: new Map(),
  stream: null,
}

test('the newest backup proves the WAL from the backup before it up to now, an older one nothing', () => {
  const plan = recoveryToProve(facts, 'clinic', 'newest')
  expect(plan).toMatchObject({ backup_id: 'middle', target: { kind: 'latest' }, recovers_to: at(7) })
  expect(plan?.pieces).toHaveLength(5)
  expect(recoveryToProve(facts, 'clinic', 'middle')).toBeNull()
  expect(recoveryToProve({ ...facts, bases: [base('alone', 3)] }, 'clinic', 'alone')?.backup_id).toBe('alone')
  const behind = facts.wal.filter(({ name }) => name >= segment(6).name)
  expect(recoveryToProve({ ...facts, wal: behind }, 'clinic', 'newest')?.backup_id).toBe('newest')
  expect(recoveryToProve({ ...facts, wal: [] }, 'clinic', 'newest')).toBeNull()
})

test('a recovery is proven to an instant of the last day between the oldest backup and the end of the WAL', () => {
  expect(recoveryWithin(facts, 'clinic', 0)).toMatchObject({ backup_id: 'first', recovers_to: at(1) })
  expect(recoveryWithin(facts, 'clinic', 0.6)).toMatchObject({
    backup_id: 'middle',
    target: { kind: 'time', at: '2023-11-14T22:13:24.600000Z' },
  })
  // Nothing was committed behind that instant.
  expect(recoveryWithin(facts, 'clinic', 1)).toMatchObject({ backup_id: 'newest', target: { kind: 'latest' } })
  expect(recoveryWithin({ ...facts, wal: [] }, 'clinic', 0.5)).toBeNull()
  const days = { ...facts, wal: facts.wal.map((piece, n) => (n < 6 ? piece : { ...piece, last_commit_at: LATE })) }
  expect(recoveryWithin(days, 'clinic', 0)).toMatchObject({ backup_id: 'newest', recovers_to: DAY_BEFORE })
})

test('faults of neighbours are one gap, and what another store has is none', () => {
  const faults = [4, 2, 5].map((n) => ({ piece: segment(n), reason: 'it is gone' }))
  const [first, second, ...more] = gapsLeft(faults, new Set())
  expect(first).toMatchObject({ from_lsn: '0/200000', to_lsn: '0/300000', timeline: 1, to_timeline: 1 })
  expect(second).toMatchObject({ from_lsn: '0/400000', to_lsn: '0/600000' })
  expect(more).toEqual([])
  expect(gapsLeft(faults, new Set(faults.map(({ piece }) => piece.name)))).toEqual([])
})
