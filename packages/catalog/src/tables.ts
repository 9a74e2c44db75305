import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'

/**
 * The tables as kysely sees them. Only text, whole numbers and floating-point numbers are used, so that both databases
 * hold the very same values: instants are text of 27 characters, truths are 0 or 1, structures are JSON text.
 */
export interface Tables {
  meta: { one: number; id: string; epoch: number; created_at: string }
  migrations: { name: string; applied_at: string }
  sources: {
    name: string
    engine: string
    pool: string | null
    config_hash: string
    state: 'active' | 'retired'
    registered_at: string
  }
  schedules: { id: string; source: string; kind: string; cron: string; timezone: string; due_at: string }
  backups: BackupTable
  artifacts: {
    backup_id: string
    role: 'artifact' | 'manifest'
    size_bytes: number | null
    sha256: string
  }
  copies: {
    backup_id: string
    store: string
    state: string
    key: string
    stored_at: string | null
    upload: string | null
  }
  verifications: {
    id: string
    backup_id: string
    store: string
    level: string
    ok: number
    checks: string
    started_at: string
    duration_ms: number
  }
  recovery_proofs: {
    id: string
    source: string
    backup_id: string
    target_at: string
    ok: number
    recovered_to: string | null
    lsn: string | null
    timeline: number | null
    detail: string
    started_at: string
    duration_ms: number
  }
  wal: WalTable
  wal_gaps: {
    source: string
    system_id: string
    timeline: number
    from_lsn: string
    to_timeline: number
    to_lsn: string
    reason: string
    detected_at: string
  }
  wal_streams: { source: string; state: string; at: string }
  change_sets: StoredChangeSet
  change_streams: { source: string; state: string; at: string }
  claims: { source: string; store: string; claimed_at: string }
  runs: RunTable
  outbox: {
    id: string
    type: string
    source: string
    subject: string
    time: string
    correlation_id: string
    causation_id: string | null
    data: string
    sent_at: string | null
  }
  inbox: {
    event_id: string
    service: string
    correlation_id: string
    not_before: string
    failures: number
    error: string | null
    handled_at: string | null
    dead_at: string | null
  }
  leases: { name: string; holder: string; token: number; until: string }
  incidents: {
    id: string
    key: string
    source: string | null
    title: string
    opened_at: string
    resolved_at: string | null
  }
  audit: AuditTable
  audit_head: { one: number; n: number; hash: string; genesis: string }
}

export interface BackupTable {
  id: string
  source: string
  engine: string
  type: string
  retention_class: string
  state: string
  filename: string
  timestamp: string
  consistent_at: string
  source_bytes: number
  source_db: string
  retention_until: string | null
  parent: string | null
  duration_ms: number
  encrypted: number
}

export interface WalTable {
  source: string
  store: string
  name: string
  kind: 'segment' | 'tail' | 'history' | 'partial' | 'label'
  system_id: string | null
  timeline: number
  segment_size: number | null
  /** 16 hex digits, as `end_lsn`; empty where the piece has no position. */
  start_lsn: string
  end_lsn: string
  current_at: string | null
  first_commit_at: string | null
  last_commit_at: string | null
  last_commit_lsn: string | null
  restore_points: string
  size_bytes: number
  source_bytes: number
  document_sha256: string
  stored_at: string
}

export interface RunTable {
  id: string
  job: string
  source: string | null
  params: string
  state: string
  attempt: number
  failures: number
  /** Grows each time the run becomes queued anew; `sent_turn` is the last one that was put into the queue. */
  turn: number
  sent_turn: number
  sent_at: string | null
  pool: string | null
  config_hash: string | null
  unique_key: string | null
  not_before: string
  created_at: string
  started_at: string | null
  finished_at: string | null
  lease_holder: string | null
  lease_until: string | null
  progress: string | null
  error: string | null
  result: string | null
  correlation_id: string
  causation_id: string | null
}

export interface AuditTable {
  n: number
  at: string
  service: string
  actor: string
  action: string
  object: string
  outcome: string
  correlation_id: string | null
  hash: string
}
