import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { instantOf } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { type ChangeFacts, changeGaps, changeLines } from './change-line.ts'
import { planChanges } from './changes-plan.ts'

/** So many seconds after a certain midnight. */
const at = (seconds: number): string => instantOf(1_764_201_600_000_000n + BigInt(Math.round(seconds * 1e6)))

function set(name: string, from: number, to: number, more: Partial<StoredChangeSet> = {}): StoredChangeSet {
  const instants = { from_at: at(from), to_at: at(to) }
  const place = { source: 'desk', store: 'local', base: 'b0', name, document_sha256: name }
  const numbers = { page_size: 4096, page_count: 10, pages: 1, size_bytes: 1, source_bytes: 1 }
  const nothing = { previous: null, lost: null, state_sha256: null, position: null, stored_at: at(to) }
  const whole = { brings_state_of: null, leaving_at: null }
  return { ...place, ...instants, ...numbers, ...nothing, ...whole, method: 'log', stands_on: 'previous', ...more }
}
const scan = { method: 'scan', stands_on: 'base' } as const

/** A base at 0, a line from 10 on, a backup within it at 30; frames lost between 40 and 60; a second line up to 80. */
const FACTS: ChangeFacts = {
  bases: [
    { backup_id: 'b0', consistent_at: at(0) },
    { backup_id: 'b1', consistent_at: at(30) },
  ],
  sets: [
    set('s10', 0, 10, scan),
    set('s20', 15, 20, { previous: 's10' }),
    set('s32', 28, 32, { previous: 's20' }),
    set('s40', 39, 40, { previous: 's32' }),
    set('s60', 30, 60, { ...scan, base: 'b1', previous: 's40', lost: 'the log was reset' }),
    set('s70', 69, 70, { previous: 's60' }),
  ],
  stream: {
    source: 'desk',
    method: 'log',
    covered_until: at(80),
    last_set: 's70',
    log_bytes: 0,
    trouble: null,
    at: at(81),
  },
}
const plan = (seconds: number, backup_id: string | null = null, facts = FACTS) => {
  const { sets, ...rest } = planChanges(facts, { source: 'desk', target: { kind: 'time', at: at(seconds) }, backup_id })
  return { ...rest, sets: sets.map(({ name }) => name) }
}
const refusal = (seconds: number, backup_id: string | null = null, facts = FACTS): string => {
  try {
    return JSON.stringify(plan(seconds, backup_id, facts))
  } catch (error) {
    return error instanceof SalvorError && error.code === 'TARGET_OUTSIDE_WINDOW' ? error.message : String(error)
  }
}

test('the window is a stretch for each line, with the gap between them and why', () => {
  const lines = changeLines(FACTS).map(({ earliest_at, latest_at, bases }) => [earliest_at, latest_at, bases.length])
  expect(lines).toEqual([
    [at(10), at(40), 2],
    [at(60), at(80), 1],
  ])
  expect(changeGaps(FACTS)).toEqual([{ from_at: at(40), to_at: at(60), reason: 'the log was reset' }])
})

test('an instant gets the last set that is not behind it, over what that stands on, and is told as far as it is exact', () => {
  expect(plan(10)).toEqual({ backup_id: 'b0', sets: ['s10'], recovers_to: at(10) })
  expect(plan(14)).toEqual({ backup_id: 'b0', sets: ['s10'], recovers_to: at(14) })
  // Something was committed between 15 and 20, when it is not known.
  expect(plan(19)).toEqual({ backup_id: 'b0', sets: ['s10'], recovers_to: at(15) })
  expect(plan(25)).toEqual({ backup_id: 'b0', sets: ['s10', 's20'], recovers_to: at(25) })
  expect(plan(75)).toEqual({ backup_id: 'b1', sets: ['s60', 's70'], recovers_to: at(75) })
  const latest = planChanges(FACTS, { source: 'desk', target: { kind: 'latest' }, backup_id: null })
  expect(latest.recovers_to).toBe(at(80))
})

test('a backup within a line is a base: the set that was under way then is laid over it whole', () => {
  expect(plan(31)).toEqual({ backup_id: 'b1', sets: [], recovers_to: at(30) })
  expect(plan(35)).toEqual({ backup_id: 'b1', sets: ['s32'], recovers_to: at(35) })
  expect(plan(40)).toEqual({ backup_id: 'b1', sets: ['s32', 's40'], recovers_to: at(40) })
  // The older one serves as well, where it is asked for or the newer one cannot be read.
  expect(plan(40, 'b0').sets).toEqual(['s10', 's20', 's32', 's40'])
  expect(plan(40, null, { ...FACTS, bases: [FACTS.bases[0]!] }).backup_id).toBe('b0')
  // Clocks of a moment's difference cost a set more, never one too few.
  const close = [FACTS.bases[0]!, { backup_id: 'b1', consistent_at: at(21) }]
  expect(plan(35, null, { ...FACTS, bases: close }).sets).toEqual(['s20', 's32'])
})

test('what does not come back is refused, with what comes back next to it', () => {
  expect(refusal(50)).toMatch(/the log was reset.*00:00:40.*00:01:00/)
  expect(refusal(90)).toContain(`ends at ${at(80)}`)
  expect(refusal(-5)).toContain(`the oldest state of it is of ${at(0)}`)
  expect(refusal(5)).toContain(`ends at ${at(0)}, and begins again at ${at(10)}`)
  expect(plan(0)).toEqual({ backup_id: 'b0', sets: [], recovers_to: at(0) })
  expect(refusal(25, 'b1')).toContain('the one that was named')
  // A set in the middle is gone: what stands on it is no line of its own, unless a backup carries it.
  const torn = { ...FACTS, sets: FACTS.sets.filter(({ name }) => name !== 's20') }
  expect(refusal(25, null, torn)).toContain('and begins again')
  expect(plan(35, null, torn)).toEqual({ backup_id: 'b1', sets: ['s32'], recovers_to: at(35) })
})

test('a span of which everything came with one set is a gap when it is long', () => {
  const sets = [FACTS.sets[0]!, set('s900', 20, 900, { previous: 's10' })]
  const facts = { ...FACTS, bases: [FACTS.bases[0]!], sets, stream: null }
  expect(refusal(400, null, facts)).toContain('came with one set')
  expect(plan(18, null, facts).recovers_to).toBe(at(18))
  expect(plan(900, null, facts).sets).toEqual(['s10', 's900'])
})
