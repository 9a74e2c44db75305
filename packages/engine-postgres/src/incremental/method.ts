import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { ServerFacts } from '../server-facts.ts'
import { FIRST_MAJOR, GATE_REASONS, type GateName, type VersionGate } from './gates.ts'

/** What a server says of itself that incrementals depend on. */
export interface IncrementalSettings {
  readonly versionNum: number
  readonly version: string
  readonly systemId: string
  readonly timeline: number
  readonly summarizeWal: boolean
  /** Data checksums or wal_log_hints: changes of hint bits are in the WAL. */
  readonly hintsLogged: boolean
  /** wal_summary_keep_time in milliseconds; 0: for ever. */
  readonly summariesKeptMs: number
  /** Pages of 8 KiB in segments of 1 GiB. */
  readonly usualPages: boolean
}

/** What is known of the backup to stand on. Null where an older Salvor did not write it down. */
export interface ParentState {
  readonly systemId: string | null
  readonly versionNum: number | null
  readonly timeline: number | null
  readonly stopLsn: string | null
  readonly consistentAt: Instant
  readonly summarizeWal: boolean
  readonly hintsLogged: boolean
  /** Digests of its pages were kept. */
  readonly hasPages: boolean
}

/** A timeline that the server's present one came from, and where it was left. */
export interface FormerTimeline {
  readonly timeline: number
  readonly end: string
}

export type Method =
  | { readonly kind: 'native' }
  /** Pages are compared here, while the whole base backup streams. */
  | { readonly kind: 'pages'; readonly because: string }
  | { readonly kind: 'full'; readonly because: string }

export interface Question {
  readonly server: IncrementalSettings
  readonly parent: ParentState
  readonly history: readonly FormerTimeline[]
  readonly wish: 'auto' | 'native' | 'pages'
  readonly gates: readonly VersionGate[]
  readonly now: Instant
}

/** A parent that gets too old while its increment is being taken is no use. */
const AGE_MARGIN = 0.9

/** How the next incremental is taken: by the server, by comparing pages, or not at all. */
export function methodFor(question: Question): Method {
  const { server, parent, wish } = question
  const { systemId, versionNum } = parent
  if (systemId !== null && systemId !== server.systemId) {
    return full('the server has another system identifier: it is another cluster, or was made anew')
  }
  if (versionNum === null || major(versionNum) !== major(server.versionNum)) {
    return full(`the parent is of another major than ${server.version}`)
  }
  if (!server.usualPages) return full('the server has pages or segments of another size than 8 kB and 1 GB')
  const refused = wish === 'pages' ? 'incrementals: pages' : nativeRefused(question)
  if (refused === null) return { kind: 'native' }
  if (wish === 'native') return full(refused)
  return parent.hasPages ? { kind: 'pages', because: refused } : full(refused)
}

/** Whether the server's WAL ends where that of the parent does, so that nothing was written since. */
export function isStateOf(
  parent: ParentState,
  server: Pick<ServerFacts, 'systemId' | 'timeline' | 'position'>,
): boolean {
  const { systemId, timeline, stopLsn } = parent
  if (systemId !== server.systemId || timeline !== server.timeline || stopLsn === null) return false
  return server.position === lsnValue(stopLsn)
}

/** Why the server could not take incrementals on a backup that is taken now; null: it can. */
export function serverRefused(server: IncrementalSettings, gates: readonly VersionGate[]): string | null {
  if (major(server.versionNum) < FIRST_MAJOR) return said('major')
  const gate = gates.find(({ fixed_in }) => server.versionNum < (fixed_in[major(server.versionNum)] ?? 0))
  if (gate) {
    const { version } = server
    const needed = Math.max(...gates.map(({ fixed_in }) => fixed_in[major(server.versionNum)] ?? 0))
    const fixed = `${major(needed)}.${needed % 10_000}`
    return said('version', { version, reason: gate.reason, fixed })
  }
  if (!server.summarizeWal) return said('summarize_wal')
  return server.hintsLogged ? null : said('hints')
}

function nativeRefused({ server, parent, history, gates, now }: Question): string | null {
  const refused = serverRefused(server, gates)
  if (refused !== null) return refused
  const known = gates.map(({ fixed_in }) => fixed_in[major(server.versionNum)] ?? 0)
  if (known.some((fixed) => parent.versionNum! < fixed)) return said('upgraded', { version: server.version })
  if (!parent.summarizeWal) return said('summarized_at_parent')
  if (!parent.hintsLogged) return said('hints_at_parent')
  if (!isInHistory(server, parent, history)) return said('timeline', { timeline: String(parent.timeline) })
  const kept = server.summariesKeptMs
  return kept > 0 && elapsedMs(parent.consistentAt, now) > kept * AGE_MARGIN ? said('age') : null
}

function isInHistory(
  server: IncrementalSettings,
  { timeline, stopLsn }: ParentState,
  history: readonly FormerTimeline[],
): boolean {
  if (timeline === null || stopLsn === null) return false
  if (timeline === server.timeline) return true
  const former = history.find((one) => one.timeline === timeline)
  return former !== undefined && lsnValue(stopLsn) <= lsnValue(former.end)
}

const major = (versionNum: number): number => Math.floor(versionNum / 10_000)
const full = (because: string): Method => ({ kind: 'full', because })

const said = (gate: GateName, values: Readonly<Record<string, string>> = {}): string =>
  GATE_REASONS[gate].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '')
