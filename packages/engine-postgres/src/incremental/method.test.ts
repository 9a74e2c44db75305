import type { Instant } from '@salvor/shared/vocabulary/instant'
import { describe, expect, test } from 'vitest'
import { VERSION_GATES } from './gates.ts'
import {
  isStateOf,
  methodFor,
  serverRefused,
  type IncrementalSettings,
  type ParentState,
  type Question,
} from './method.ts'

const server: IncrementalSettings = {
  versionNum: 170_011,
  version: '17.11',
  systemId: '7575',
  timeline: 1,
  summarizeWal: true,
  hintsLogged: true,
  summariesKeptMs: 10 * 86_400_000,
  usualPages: true,
}
const parent: ParentState = {
  systemId: '7575',
  versionNum: 170_011,
  timeline: 1,
  stopLsn: '0/3000100',
  consistentAt: '2026-01-01T00:00:00.000000Z',
  summarizeWal: true,
  hintsLogged: true,
  hasPages: false,
}
const now: Instant = '2026-01-02T00:00:00.000000Z'

interface Change extends Partial<Omit<Question, 'server' | 'parent'>> {
  readonly server?: Partial<IncrementalSettings>
  readonly parent?: Partial<ParentState>
}
const ask = (change: Change = {}) =>
  methodFor({
    history: [],
    wish: 'auto',
    gates: VERSION_GATES,
    now,
    ...change,
    server: { ...server, ...change.server },
    parent: { ...parent, ...change.parent },
  })

describe('the way in which an incremental is taken', () => {
  test('is the server’s own where nothing speaks against it', () => {
    expect(ask()).toEqual({ kind: 'native' })
    expect(ask({ server: { versionNum: 180_006 }, parent: { versionNum: 180_006 } })).toEqual({ kind: 'native' })
    expect(ask({ server: { summariesKeptMs: 0 }, now: '2027-01-01T00:00:00.000000Z' })).toEqual({ kind: 'native' })
  })

  const refusals: [string, Change, RegExp][] = [
    ['16', { server: { versionNum: 160_014 }, parent: { versionNum: 160_014 } }, /before PostgreSQL 17/],
    ['17.10', { server: { versionNum: 170_010, version: '17.10' } }, /17\.10: .*summarizer.*fixed in 17\.11/],
    ['17.7', { server: { versionNum: 170_007 } }, /VACUUM.*fixed in 17\.11/],
    ['18.5', { server: { versionNum: 180_005 }, parent: { versionNum: 180_005 } }, /fixed in 18\.6/],
    ['an upgrade over a gate', { parent: { versionNum: 170_010 } }, /upgraded to 17\.11/],
    ['summarize_wal off', { server: { summarizeWal: false } }, /summarize_wal is off/],
    ['summarize_wal off at the parent', { parent: { summarizeWal: false } }, /summarize_wal was off/],
    ['hints not logged', { server: { hintsLogged: false } }, /wal_log_hints/],
    ['hints not logged at the parent', { parent: { hintsLogged: false } }, /wal_log_hints were off/],
    ['a timeline of another branch', { server: { timeline: 3 } }, /timeline 1 .* history/],
    ['a parent that is too old', { now: '2026-01-10T12:00:00.000000Z' }, /older than the WAL summaries/],
  ]
  test.each(refusals)('%s: a full, or pages where their digests were kept; both say why', (_, change, reason) => {
    const because = expect.stringMatching(reason)
    expect(ask(change)).toEqual({ kind: 'full', because })
    const kept = { ...change, parent: { ...change.parent, hasPages: true } }
    expect(ask(kept)).toEqual({ kind: 'pages', because })
    expect(ask({ ...kept, wish: 'native' })).toEqual({ kind: 'full', because })
  })

  const hopeless: [string, Change, RegExp][] = [
    ['another cluster', { parent: { systemId: '1' } }, /system identifier/],
    ['another major', { parent: { versionNum: 160_014 } }, /another major/],
    ['pages of another size', { server: { usualPages: false } }, /another size/],
  ]
  test.each(hopeless)('%s: always a full', (_, change, reason) => {
    const kept = { ...change, parent: { ...change.parent, hasPages: true } }
    expect(ask(kept)).toEqual({ kind: 'full', because: expect.stringMatching(reason) })
  })

  test('a parent on a timeline that was left behind the parent’s end counts, one that goes on beyond does not', () => {
    const forked = { server: { timeline: 2 } }
    expect(ask({ ...forked, history: [{ timeline: 1, end: '0/3000100' }] })).toEqual({ kind: 'native' })
    expect(ask({ ...forked, history: [{ timeline: 1, end: '0/30000FF' }] })).toMatchObject({ kind: 'full' })
  })

  test('is not needed where the WAL of the same timeline ends where the parent’s does', () => {
    const at = (position: bigint, more: Partial<IncrementalSettings> = {}) =>
      isStateOf(parent, { ...server, ...more, position })
    expect(at(0x3000100n)).toBe(true)
    // A standby that is behind the one that the parent was taken of.
    expect(at(0x30000ffn)).toBe(false)
    expect(at(0x3000101n)).toBe(false)
    expect(at(0x3000100n, { timeline: 2 })).toBe(false)
    expect(at(0x3000100n, { systemId: '1' })).toBe(false)
    expect(isStateOf({ ...parent, stopLsn: null }, { ...server, position: 0n })).toBe(false)
  })

  test('pages can be asked for', () => {
    expect(ask({ wish: 'pages', parent: { hasPages: true } })).toMatchObject({ kind: 'pages' })
    expect(ask({ wish: 'pages' })).toMatchObject({ kind: 'full' })
  })

  test('a full learns beforehand whether the server will be able to', () => {
    expect(serverRefused(server, VERSION_GATES)).toBe(null)
    expect(serverRefused({ ...server, summarizeWal: false }, VERSION_GATES)).toContain('summarize_wal')
  })
})
