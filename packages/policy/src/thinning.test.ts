import { type StoredChangeSet, stateOf } from '@salvor/shared/vocabulary/change-set'
import { type Instant, instantOf, shifted } from '@salvor/shared/vocabulary/instant'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChangeFacts, changeGaps, changeLines } from './change-line.ts'
import { type Compaction, compactions } from './compaction.ts'
import { planChanges } from './changes-plan.ts'
import { type KeptSince, keptSince, thinned } from './thinning.ts'

const [MINUTE, HOUR, DAY] = [60, 3_600, 86_400]
/** So many seconds after a certain midnight. */
const at = (seconds: number): Instant => instantOf(1_764_201_600_000_000n + BigInt(Math.round(seconds * 1e6)))

type Sample = Partial<StoredChangeSet> & Pick<StoredChangeSet, 'from_at' | 'to_at' | 'document_sha256'>

function set(sample: Sample): StoredChangeSet {
  const place = { source: 'desk', store: 'local', base: 'b0', name: sample.document_sha256 }
  const numbers = { page_size: 4096, page_count: 10, pages: 1, size_bytes: 1, source_bytes: 1 }
  const nothing = { previous: null, lost: null, state_sha256: null, position: null, stored_at: sample.to_at }
  const whole = { brings_state_of: null, leaving_at: null }
  return { ...place, ...numbers, ...nothing, ...whole, method: 'log', stands_on: 'previous', ...sample }
}

/** A line of sets that end so many seconds after midnight, on a backup at -100. */
type Kind = 'log' | 'scans of the base' | 'scans'

function line(ends: readonly number[], lostAt = -1, kind: Kind = 'log'): StoredChangeSet[] {
  return ends.map((end, n) => {
    const anew = n === 0 || n === lostAt
    const onBase = anew || kind === 'scans of the base'
    const method = anew || kind !== 'log' ? 'scan' : 'log'
    const how = { method, stands_on: onBase ? 'base' : 'previous' } as const
    const from_at = onBase ? at(-100) : at((ends[n - 1]! + end) / 2)
    const lost = n === lostAt ? 'the log was reset' : null
    const previous = n === 0 ? null : `s${n - 1}`
    return set({ from_at, to_at: at(end), document_sha256: `s${n}`, previous, lost, ...how })
  })
}

/** Stored as the worker does it, with the fine sets that it was made of, in order. */
class Made {
  readonly parts = new Map<StoredChangeSet, readonly StoredChangeSet[]>()

  store({ inputs, piece }: Compaction): StoredChangeSet {
    const document_sha256 = `c ${piece.from_at} ${piece.to_at}`
    const { page_count, pages } = inputs.at(-1)!
    const made = set({ ...piece, page_count, pages, document_sha256 })
    this.parts.set(
      made,
      inputs.flatMap((input) => this.partsOf(input)),
    )
    return made
  }
  partsOf(one: StoredChangeSet): readonly StoredChangeSet[] {
    return this.parts.get(one) ?? [one]
  }
}

function compactAll(sets: readonly StoredChangeSet[], now: Instant, made: Made, bad = ''): StoredChangeSet[] {
  let all = [...sets]
  const tried = new Set<string>()
  for (let turns = 0; turns < 20; turns += 1) {
    const due = compactions(all, now, tried)
    if (due.length === 0) return all
    for (const { key } of due) tried.add(key)
    const isGood = ({ inputs }: Compaction): boolean =>
      inputs.every((input) => made.partsOf(input).every(({ name }) => name !== bad))
    const some = due.filter(isGood).map((one) => made.store(one))
    all = [...all, ...some].toSorted((a, b) => (a.to_at < b.to_at ? -1 : a.to_at > b.to_at ? 1 : 0))
  }
  throw new Error('it never ends')
}

const names = (sets: readonly StoredChangeSet[]): string => sets.map(({ name }) => name).join(' ')
const factsOf = (sets: readonly StoredChangeSet[], bases: readonly number[]): ChangeFacts => {
  return { bases: bases.map((seconds, n) => ({ backup_id: `b${n}`, consistent_at: at(seconds) })), sets, stream: null }
}

function planned(facts: ChangeFacts, instant: Instant, made: Made) {
  try {
    const plan = planChanges(facts, { source: 'desk', target: { kind: 'time', at: instant }, backup_id: null })
    return { ...plan, taken: plan.sets, steps: plan.sets.length, sets: plan.sets.flatMap((one) => made.partsOf(one)) }
  } catch {
    return null
  }
}

/** With one of a worker that was thought dead, beside the `n`-th: both stand on the same set. */
function withFork(sets: readonly StoredChangeSet[], n: number): readonly StoredChangeSet[] {
  const beside = sets[n]
  if (n === 0 || beside?.lost !== null) return sets
  const fork = { ...beside, name: 'fork', document_sha256: 'fork', to_at: shifted(beside.to_at, -100) }
  return sets.toSpliced(n, 0, fork)
}

/** No backup of a moment within a set that lacks what was changed and changed back. */
function fitsItsBase(plan: ReturnType<typeof planned>, bases: readonly number[]): boolean {
  const base = plan && at(bases[Number(plan.backup_id.slice(1))]!)
  return (
    plan === null ||
    plan.taken.every((one) => {
      const compared = one.method === 'scan' && one.stands_on === 'previous'
      return !compared || base! <= one.from_at
    })
  )
}

const ALWAYS: KeptSince = { every: '', hourly: '', daily: '' }

test('sets of one minute, hour and day are made one each when that is over, of what is there already', () => {
  const made = new Made()
  const sets = line([10, 20, 30, 70, 80, HOUR + 5, HOUR + 6, DAY + 1])
  const all = compactAll(sets, at(DAY + 600), made)
  const parts = [...made.parts.values()].map(names)
  expect(parts).toEqual(['s0 s1 s2', 's3 s4', 's5 s6', 's0 s1 s2 s3 s4', 's0 s1 s2 s3 s4 s5 s6'])
  const compacted = all.filter(({ brings_state_of }) => brings_state_of !== null)
  expect(compacted.find(({ brings_state_of }) => brings_state_of === 's4')).toMatchObject({ page_size: 4096 })
  expect(compacted.filter(({ stands_on }) => stands_on === 'base').map(({ from_at }) => from_at)).toEqual([
    at(10),
    at(10),
    at(10),
  ])
  const latest = planChanges(factsOf(all, [-100]), { source: 'desk', target: { kind: 'latest' }, backup_id: null })
  expect(latest.sets).toHaveLength(2)
  // Not before the span is over, and a moment more.
  expect(compactions(sets.slice(0, 3), at(MINUTE + 100))).toEqual([])
  expect(compactions(sets.slice(0, 3), at(MINUTE + 120))).toHaveLength(1)
  // What is lost stays lost: no set reaches over it.
  const torn = compactAll(line([10, 20, 30, 40], 2), at(600), new Made())
  expect(changeLines(factsOf(torn, [-100])).map(({ sets: own }) => own.length)).toEqual([2, 2])
  expect(changeGaps({ sets: torn })).toEqual([{ from_at: at(20), to_at: at(30), reason: 'the log was reset' }])
})

test('where fewer instants are kept, those between them are refused with why, and the kept ones come back', () => {
  const made = new Made()
  const sets = line([10, 1_000, 2_000, 3_000, HOUR + 10, HOUR + 2_000])
  const all = compactAll(sets, at(2 * DAY), made)
  const since: KeptSince = { every: at(2 * DAY), hourly: '', daily: '' }
  const gone = new Set(thinned(all, since, [at(-100)]).flatMap(({ sets: some }) => some))
  const left = all.filter((one) => !gone.has(one))
  expect(names([...gone].toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1)))).toBe('s0 s1 s2 s3 s4 s5')
  const facts = factsOf(left, [-100])
  const refused = () =>
    planChanges(facts, { source: 'desk', target: { kind: 'time', at: at(HOUR + 900) }, backup_id: null })
  expect(refused).toThrow(/thinned out.*00:55:05.*01:33:20/)
  expect(planned(facts, at(3_000), made)?.sets.at(-1)?.name).toBe('s3')
  expect(planned(facts, at(HOUR + 2_500), made)).toBeNull()
  expect(planned(facts, at(HOUR + 2_000), made)?.steps).toBe(1)
})

test('nothing goes while nothing is proven, nor what no longer set brings, nor what a later backup does not carry', () => {
  const made = new Made()
  const all = compactAll(line([10, 20, HOUR + 1, HOUR + 2, DAY + 5, DAY + 6]), at(3 * DAY), made)
  const now: KeptSince = { every: at(3 * DAY), hourly: at(3 * DAY), daily: at(3 * DAY) }
  const gone = (sets: readonly StoredChangeSet[], since: KeptSince, proven: readonly number[]): string =>
    names(
      thinned(sets, since, proven.map(at))
        .flatMap(({ sets: some }) => some)
        .filter(({ brings_state_of }) => brings_state_of === null)
        .toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1)),
    )
  expect(gone(all, now, [])).toBe('')
  expect(gone(all, ALWAYS, [-100])).toBe('')
  expect(gone(all, now, [-100])).toBe('s0 s1 s2 s3 s4 s5')
  const fine = all.filter(({ brings_state_of }) => brings_state_of === null)
  expect(gone(fine, now, [-100])).toBe('')
  // A backup between them carries what comes behind it.
  expect(gone(fine, now, [HOUR + 600])).toBe('s0 s1 s2')
  expect(gone(fine, { ...now, daily: at(HOUR) }, [HOUR + 600])).toBe('')
})

test('where two workers went on from one set, that stays as long as one of the ways needs it', () => {
  const sets = withFork(line([10, 20, 30]), 1)
  // The living way cannot be compacted, the dead end can.
  const all = compactAll(sets, at(DAY), new Made(), 's1')
  const gone = thinned(all, { every: at(DAY), hourly: '', daily: '' }, [at(-100)]).flatMap(({ sets: some }) => some)
  expect(names(gone).includes('s')).toBe(false)
  expect(
    planned(
      factsOf(
        all.filter((one) => !gone.includes(one)),
        [-100],
      ),
      at(30),
      new Made(),
    )?.sets,
  ).toHaveLength(3)
})

test('the rules of a source say since when what is kept; a class without one is kept, and a coarser one never shorter than a finer', () => {
  const now = '2026-03-01T12:00:00.000000Z'
  const since = keptSince({ full: '30d', monthly: '1y' }, now)
  expect([since.every, since.hourly, since.daily].map((text) => text.slice(0, 10))).toEqual([
    '2026-02-22',
    '2026-01-30',
    '2025-03-01',
  ])
  expect(keptSince({ pitr: '40d', full: '30d' }, now)).toEqual({
    every: shifted(now, -40 * DAY * 1000),
    hourly: shifted(now, -40 * DAY * 1000),
    daily: '',
  })
})

test('whatever was stored, lost, compacted and thinned: every instant that is kept comes back by the very same commits, in no more sets', () => {
  const sample = fc.record({
    gaps: fc.array(fc.constantFrom(1, 2, 20, 61, 700, 3_599, 3_601, 20_000, 90_000), { minLength: 2, maxLength: 30 }),
    lost: fc.nat(40),
    forked: fc.nat(60),
    bad: fc.nat(90),
    kind: fc.constantFrom<Kind>('log', 'scans of the base', 'scans'),
    backups: fc.array(fc.nat(300_000), { maxLength: 4 }),
    early: fc.nat(400_000),
    every: fc.nat(400_000),
    hourly: fc.nat(400_000),
    daily: fc.nat(400_000),
  })
  const numRuns = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 20_000 : 250
  fc.assert(
    fc.property(sample, ({ gaps, lost, forked, bad, kind, backups, early, ...ages }) => {
      const ends = gaps.map((_, n) => gaps.slice(0, n + 1).reduce((a, b) => a + b, 7))
      const sets = withFork(line(ends, lost, kind), forked)
      const made = new Made()
      const bases = [-100, ...backups.toSorted((a, b) => a - b).map((seconds) => seconds + 0.5)]
      const before = factsOf(sets, bases)
      const end = ends.at(-1)!
      const now = at(end + 2 * DAY)
      // In the middle of it, too, as a worker does.
      const first = compactAll(
        sets.filter(({ to_at }) => to_at <= at(early)),
        at(early),
        made,
      )
      const all = compactAll([...first, ...sets.filter(({ to_at }) => to_at > at(early))], now, made, `s${bad}`)
      const after = factsOf(all, bases)
      const instants = [...ends, ...ends.map((one) => one + 0.6)].map(at)
      for (const instant of instants) {
        const [fine, coarse] = [planned(before, instant, made), planned(after, instant, made)]
        expect([fine, coarse].every((one) => fitsItsBase(one, bases))).toBe(true)
        expect(coarse && { ...coarse, steps: 0, taken: [] }).toEqual(fine && { ...fine, steps: 0, taken: [] })
        expect((coarse?.steps ?? 0) <= (fine?.steps ?? 0)).toBe(true)
      }
      const [daily, hourly, every] = Object.values(ages)
        .toSorted((a, b) => a - b)
        .map(at) as [Instant, Instant, Instant]
      const since = { daily, hourly, every }
      const gone = thinned(all, since, bases.map(at))
      const lostSets = new Set(gone.flatMap(({ sets: some }) => some))
      expect(lostSets.size).toBe(gone.reduce((sum, { sets: some }) => sum + some.length, 0))
      const left = factsOf(
        all.filter((one) => !lostSets.has(one)),
        bases,
      )
      const windowEnds = (ms: number) =>
        ends.filter((one, n) => Math.floor(one / ms) !== Math.floor((ends[n + 1] ?? Infinity) / ms) || n + 1 === lost)
      const kept = [
        ...ends.filter((one) => at(one) >= every),
        ...windowEnds(HOUR).filter((one) => at(one) >= hourly),
        ...windowEnds(DAY).filter((one) => at(one) >= daily),
      ]
      for (const seconds of kept) {
        const [fine, coarse] = [planned(before, at(seconds), made), planned(left, at(seconds), made)]
        expect(fitsItsBase(coarse, bases)).toBe(true)
        // Reached by the same commits, if on an older backup, or with some that the backup has already.
        expect(coarse?.recovers_to).toBe(fine?.recovers_to)
        if (fine === null || coarse === null) continue
        expect(names(coarse.sets).endsWith(names(fine.sets))).toBe(true)
        const numbers = coarse.sets.map(({ name }) => (name === 'fork' ? forked : Number(name.slice(1))))
        expect(kind === 'scans of the base' || numbers.every((one, n) => n === 0 || one === numbers[n - 1]! + 1)).toBe(
          true,
        )
      }
      // What went is brought by what stays.
      const states = new Set(left.sets.map(stateOf))
      for (const { by } of gone) expect(by === null || states.has(stateOf(by)) || lostSets.has(by)).toBe(true)
    }),
    { numRuns },
  )
}, 60_000)
