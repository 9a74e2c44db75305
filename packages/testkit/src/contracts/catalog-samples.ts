import { randomBytes } from 'node:crypto'
import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { NewEvent } from '@salvor/shared/messages/events'
import type { Catalog, Cause, Holder } from '@salvor/shared/ports/catalog'
import type { Ids } from '@salvor/shared/ports/clock'
import type { Backup, Copy } from '@salvor/shared/vocabulary/backup'
import type { Failure, Run } from '@salvor/shared/vocabulary/run'
import type { Verification } from '@salvor/shared/vocabulary/verification'

/** An empty catalog, opened. Disposing closes every handle and removes it. */
export interface CatalogUnderTest extends AsyncDisposable {
  readonly catalog: Catalog
  /** One more handle to the same catalog, as another process would have it. */
  again(): Promise<Catalog>
  /** A statement behind the catalog's back. */
  sql(statement: string): Promise<void>
}
export type OpenCatalog = () => Promise<CatalogUnderTest>

export const WORKER: Cause = { service: 'backup-worker' }
export const CLI: Cause = { service: 'cli' }

/** Ascending within a process, also within one millisecond. */
export function testIds(): Ids {
  let last = { ms: 0, count: 0 }
  return {
    next: () => {
      const ms = Math.max(Date.now(), last.ms)
      last = { ms, count: ms === last.ms ? last.count + 1 : 0 }
      const time = ms.toString(16).padStart(12, '0')
      const count = last.count.toString(16).padStart(3, '0')
      const tail = randomBytes(8).toString('hex')
      return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-8${tail.slice(1, 4)}-${tail.slice(4, 16)}`
    },
  }
}
const ids = testIds()
export const freshId = (): string => ids.next()

const HOLDER: Holder = { service: 'backup-worker', host: 'here', boot_id: 'boot', pid: 100, start_time: '1' }
let pids = 100
/** A process of this machine that lives. */
export const livingHolder = (): Holder => ({ ...HOLDER, pid: (pids += 1) })
/** A process of this machine that is gone. */
export const deadHolder = (): Holder => ({ ...livingHolder(), boot_id: 'an earlier boot' })
/** A process of another machine, of which nobody here can tell. */
export const remoteHolder = (): Holder => ({ ...livingHolder(), host: 'elsewhere' })
/** What a catalog under test is opened with. */
export function sampleHolderAlive(holder: Holder): boolean | null {
  if (holder.host !== HOLDER.host) return null
  return holder.boot_id === HOLDER.boot_id
}

export const BROKEN: Failure = { code: 'STORE_UNREACHABLE', message: 'no answer', hint: 'wait', retryable: true }

export function sampleBackup(changes: Partial<Backup> = {}): Backup {
  const id = freshId()
  return {
    id,
    source: 'clinic',
    engine: 'sqlite',
    type: 'full',
    retention_class: 'full',
    state: 'completed',
    filename: `backup_full_${id}.db.zst`,
    timestamp: '2025-11-27T20:39:30.294774Z',
    consistent_at: '2025-11-27T20:39:30.301002Z',
    size_bytes: 5_497_558_138_883,
    source_bytes: 9_007_199_254_740_991,
    checksum_sha256: 'a'.repeat(64),
    source_db: '/srv/clinic/app.db',
    retention_until: '2025-12-27T20:39:30.294774Z',
    parent: null,
    duration_ms: 1234.567,
    encrypted: true,
    manifest_sha256: 'b'.repeat(64),
    ...changes,
  }
}

export function sampleCopy(backup: Backup, changes: Partial<Copy> = {}): Copy {
  return {
    backup_id: backup.id,
    store: 'local',
    state: 'completed',
    key: `${backup.source}/${backup.filename}`,
    stored_at: '2025-11-27T20:39:31.000001Z',
    upload: null,
    ...changes,
  }
}

export function sampleVerification(backup: Backup, changes: Partial<Verification> = {}): Verification {
  return {
    id: freshId(),
    backup_id: backup.id,
    store: 'local',
    level: 'checksum',
    ok: true,
    checks: [{ name: 'checksum', ok: true, detail: '12 objects', duration_ms: 3.25 }],
    started_at: '2025-11-27T20:40:00.000000Z',
    duration_ms: 10.5,
    ...changes,
  }
}

/** Subscribed by verifier, replicator and notifier. */
export function completedEvent(backup_id: string = freshId()): NewEvent<'backup.completed'> {
  return {
    type: 'backup.completed',
    subject: backup_id,
    data: {
      source: 'clinic',
      backup_id,
      run_id: freshId(),
      type: 'full',
      retention_class: 'full',
      store: 'local',
      filename: 'backup_full_20251127_203930.db.zst',
      size_bytes: 1,
      source_bytes: 2,
      duration_ms: 3,
    },
  }
}

export function enqueueCopy(catalog: Catalog, more: object = {}): Promise<Run> {
  return catalog.transaction(CLI, (tx) =>
    tx.enqueue({ job: 'replicate-copy', params: { backup_id: freshId() }, ...more }),
  )
}

/** Queued and taken; a negative lease has run out already. */
export async function runningCopy(catalog: Catalog, holder: Holder, leaseMs = 60_000): Promise<Run> {
  const { id } = await enqueueCopy(catalog)
  const run = await catalog.claimRun(id, holder, leaseMs)
  if (run === null) throw new Error(`run ${id} was queued and due, and was not given out`)
  return run
}

/** How the SalvorError is called with which something fails. */
export async function codeOf(failing: Promise<unknown>): Promise<string> {
  const error = await failing.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  return (error as SalvorError | null)?.code ?? `no SalvorError: ${String(error)}`
}
