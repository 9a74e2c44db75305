/** Why an incremental of the server itself is refused. Rows are data: a newer bug is one more row. */

export interface VersionGate {
  /** server_version_num of the first good minor, by major. */
  readonly fixed_in: Readonly<Record<number, number>>
  readonly reason: string
}

/** Minors whose incrementals are wrong or cannot be restored (release notes of PostgreSQL). */
export const VERSION_GATES: readonly VersionGate[] = [
  {
    fixed_in: { 17: 170_008, 18: 180_002 },
    reason: 'incrementals of tables over 1 GB that VACUUM had cut could not be restored',
  },
  {
    fixed_in: { 17: 170_010, 18: 180_004 },
    reason: 'combining incrementals spoilt visibility maps',
  },
  {
    fixed_in: { 17: 170_011, 18: 180_006 },
    reason: 'incrementals silently lacked pages: the WAL summarizer missed changes of visibility maps',
  },
]

/** Incrementals of the server exist from here on. */
export const FIRST_MAJOR = 17

export type GateName =
  | 'major'
  | 'version'
  | 'upgraded'
  | 'summarize_wal'
  | 'summarized_at_parent'
  | 'hints'
  | 'hints_at_parent'
  | 'timeline'
  | 'age'

/** The other gates, in the order in which they are asked: what a person is told. */
export const GATE_REASONS: Readonly<Record<GateName, string>> = {
  major: 'servers before PostgreSQL 17 take no incrementals',
  version: 'PostgreSQL {version}: {reason}; fixed in {fixed}',
  upgraded: 'the server was upgraded to {version} since the parent: WAL summaries of the old one may lack changes',
  summarize_wal: 'summarize_wal is off on the server',
  summarized_at_parent: 'summarize_wal was off when the parent was taken',
  hints: 'neither data checksums nor wal_log_hints are on: changes of hint bits are not in the WAL',
  hints_at_parent: 'data checksums and wal_log_hints were off when the parent was taken',
  timeline: 'timeline {timeline} of the parent is not in the history of the server',
  age: 'the parent is older than the WAL summaries that the server keeps (wal_summary_keep_time)',
}
