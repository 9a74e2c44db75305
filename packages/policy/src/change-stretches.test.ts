import { stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { elapsedMs, type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { type ChangeBase, changeGaps, changeLines } from './change-line.ts'
import { ChangeStretches } from './change-stretches.ts'
import { compactions } from './compaction.ts'

const BEGIN = '2025-11-24T00:00:00.000000Z'
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]

function storedSet(more: Partial<StoredChangeSet> & { document_sha256: string; to_at: Instant }): StoredChangeSet {
  const place = { source: 'desk', store: 'local', base: 'b0', name: more.document_sha256 }
  const numbers = { page_size: 4096, page_count: 10, pages: 1, size_bytes: 1, source_bytes: 1 }
  const nothing = { previous: null, lost: null, state_sha256: null, position: null, stored_at: more.to_at }
  const whole = { brings_state_of: null, leaving_at: null, from_at: more.to_at }
  return { ...place, ...numbers, ...nothing, ...whole, method: 'log', stands_on: 'previous', ...more }
}

/** Five days of a worker that is away now and then, compacted, and thinned out where they are old. */
function history(random: () => number): { readonly sets: readonly StoredChangeSet[]; readonly bases: ChangeBase[] } {
  const fine: StoredChangeSet[] = []
  const bases: ChangeBase[] = [{ backup_id: 'b0', consistent_at: BEGIN }]
  for (let at = shifted(BEGIN, 20 * MINUTE); elapsedMs(BEGIN, at) < 5 * DAY;) {
    const before = fine.at(-1)
    const breaks = before === undefined || random() < 0.02
    const named = { document_sha256: `s${fine.length}`, to_at: at, base: bases.at(-1)!.backup_id }
    const scan = { method: 'scan', stands_on: 'base', from_at: bases.at(-1)!.consistent_at } as const
    const previous = before ? stateOf(before) : null
    const lost = before === undefined ? null : 'the log was reset'
    const from_at = before && random() < 0.1 ? shifted(before.to_at, 1_000) : shifted(at, -1_000)
    fine.push(storedSet(breaks ? { ...named, ...scan, previous, lost } : { ...named, previous, from_at }))
    if (random() < 0.03) bases.push({ backup_id: `b${bases.length}`, consistent_at: shifted(at, 500) })
    at = shifted(at, random() < 0.05 ? random() * 30 * HOUR : 1_000 + random() * 20 * MINUTE)
  }
  const all = [...fine]
  const tried = new Set<string>()
  for (const now = shifted(BEGIN, 9 * DAY); ;) {
    const due = compactions([...all], now, tried)
    if (due.length === 0) break
    for (const { piece, key } of due) {
      tried.add(key)
      const document_sha256 = `c${all.length}`
      all.push(storedSet({ ...piece, document_sha256, to_at: piece.to_at, name: document_sha256 }))
    }
  }
  // Within compacted spans of the first days some are gone.
  const old = shifted(BEGIN, 3 * DAY)
  const ends = new Set(all.filter(({ brings_state_of }) => brings_state_of !== null).map(stateOf))
  const kept = all.filter((set) => {
    return set.to_at > old || set.brings_state_of !== null || ends.has(stateOf(set)) || random() < 0.5
  })
  return { sets: kept.toSorted((a, b) => (a.to_at < b.to_at ? -1 : a.to_at > b.to_at ? 1 : 0)), bases }
}

test('day by day the same lines and gaps are found as at once', () => {
  const seed = 1 + Math.floor(Math.random() * 2 ** 30)
  let state = seed
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let round = 0; round < 60; round += 1) {
    const { sets, bases } = history(random)
    const found = new ChangeStretches()
    for (const day of Map.groupBy(sets, ({ to_at }) => to_at.slice(0, 10)).values()) found.addDay(day)
    const asked = changeLines({ bases, sets, stream: null }).map(
      ({ bases: within, earliest_at, latest_at, sets: way }) => {
        return { bases: within, earliest_at, latest_at, change_sets: way.length }
      },
    )
    expect(found.stretches(bases, null), `seed ${seed}, round ${round}`).toEqual(asked)
    expect(found.gaps(), `seed ${seed}, round ${round}`).toEqual(changeGaps({ sets }))
  }
})
