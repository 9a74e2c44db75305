import type { WalSink } from '@salvor/shared/ports/wal'
import { historyName, type WalPiece } from '@salvor/shared/vocabulary/wal'
import type { Link } from '../protocol/link.ts'
import { LinkLost } from '../protocol/server-error.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import { parseHistory, type Ancestor } from '@salvor/shared/vocabulary/timeline-history'

const NOTHING = { first_commit_at: null, last_commit_at: null, last_commit_lsn: null, restore_points: [] }

/** Stores how a timeline began, and gives its ancestors. Timeline 1 began nowhere. */
export async function storeHistory(
  link: Link,
  timeline: number,
  sink: WalSink,
  signal: AbortSignal,
): Promise<readonly Ancestor[]> {
  if (timeline === 1) return []
  const [set] = await link.rows(`TIMELINE_HISTORY ${timeline}`, COMMAND_IDLE_MS, signal)
  const [filename, content] = set?.rows[0] ?? []
  const name = historyName(timeline)
  if (filename !== name || typeof content !== 'string')
    throw new LinkLost('another timeline history than was asked for')
  const ancestors = parseHistory(content)
  await sink.store(historyPiece(name, timeline), () => [Buffer.from(content)], signal)
  return ancestors
}

export function historyPiece(name: string, timeline: number): WalPiece {
  const nowhere = { start_lsn: null, end_lsn: null, current_at: null, system_id: null, segment_size: null }
  return { ...NOTHING, ...nowhere, kind: 'history', name, timeline }
}
