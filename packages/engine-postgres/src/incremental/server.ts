import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Link } from '../protocol/link.ts'
import { COMMAND_IDLE_MS, show } from '../connect/session.ts'
import type { ServerFacts } from '../server-facts.ts'
import { FIRST_MAJOR } from './gates.ts'
import type { FormerTimeline, IncrementalSettings, ParentState } from './method.ts'

/** What the gates ask of a server. */
export async function incrementalSettings(
  link: Link,
  facts: ServerFacts,
  signal: AbortSignal,
): Promise<IncrementalSettings> {
  const ask = (setting: string) => show(link, setting, signal)
  const summarizes = facts.major >= FIRST_MAJOR
  return {
    versionNum: facts.versionNum,
    version: facts.version.split(' ')[0]!,
    systemId: facts.systemId,
    timeline: facts.timeline,
    summarizeWal: summarizes && (await ask('summarize_wal')) === 'on',
    hintsLogged: facts.dataChecksums || (await ask('wal_log_hints')) === 'on',
    summariesKeptMs: summarizes ? milliseconds(await ask('wal_summary_keep_time')) : 0,
    usualPages: (await ask('block_size')) === '8192' && (await ask('segment_size')) === '1GB',
  }
}

/** What goes into `engine_facts`, so that the next incremental can be decided upon. */
export function settingsFacts(settings: IncrementalSettings): SnapshotFacts['engine_facts'] {
  return { summarize_wal: settings.summarizeWal, hints_logged: settings.hintsLogged }
}

export function parentState(
  facts: SnapshotFacts['engine_facts'],
  consistentAt: Instant,
  hasPages: boolean,
): ParentState {
  const text = (name: string) => (typeof facts[name] === 'string' ? facts[name] : null)
  const number = (name: string) => (typeof facts[name] === 'number' ? facts[name] : null)
  return {
    systemId: text('system_id'),
    versionNum: number('server_version_num'),
    timeline: number('timeline'),
    stopLsn: text('stop_lsn'),
    consistentAt,
    summarizeWal: facts['summarize_wal'] === true,
    hintsLogged: facts['hints_logged'] === true,
    hasPages,
  }
}

/** Where the server's present timeline comes from. Timeline 1 has no history. */
export async function timelineHistory(link: Link, timeline: number, signal: AbortSignal): Promise<FormerTimeline[]> {
  if (timeline <= 1) return []
  const [set] = await link.rows(`TIMELINE_HISTORY ${timeline}`, COMMAND_IDLE_MS, signal)
  return (set?.rows[0]?.[1] ?? '').split('\n').flatMap((line) => {
    const [, former, end] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? []
    return former && end ? [{ timeline: Number(former), end }] : []
  })
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** As `SHOW` tells a duration: `10d`, `90min`, or a number without a unit. */
function milliseconds(shown: string): number {
  const [, amount, unit] = /^(\d+)\s*([a-z]*)$/.exec(shown) ?? []
  return Number(amount ?? 0) * (UNITS[unit ?? ''] ?? 60_000)
}
