import type { EventType, SalvorEvent } from '@salvor/shared/messages/events'
import type { BackupType, BackupWithCopies, CopyState } from '@salvor/shared/vocabulary/backup'

/** One condition of a source that a person must know of until it is over. */
export interface IncidentChange {
  /** `<source>/<condition>`: never an id, so that ten failures are one incident. */
  readonly key: string
  readonly change: 'open' | 'resolve'
  /** The event type that opens it: who was told of that is told of its end. */
  readonly opened_by: EventType
}

/** A backup that failed once is retried in seconds; nobody is woken for that. */
const FAILURES_THAT_WAKE = 2

/** What is found in looking at a copy, and is not about that copy. */
const CONDITIONS: Readonly<Record<string, string>> = {
  CHECKS_FAILED: 'checks',
  WAL_DAMAGED: 'wal-copies',
  CHANGES_DAMAGED: 'change-copies',
  RECOVERY_NOT_PROVEN: 'recovery',
}

/** The incident that an event opens, going by the event alone. */
export function incidentOpenedBy(event: SalvorEvent): IncidentChange | null {
  switch (event.type) {
    case 'backup.failed': {
      const { source, type, failures, final, merge } = event.data
      // A safety copy that fails ends its restore, which is an incident of its own.
      if (type === 'pre_restore') return null
      if (merge) return final ? opens(event, `${source}/merge`) : null
      return final || failures >= FAILURES_THAT_WAKE ? opens(event, `${source}/backup/${type}`) : null
    }
    case 'copy.corrupt':
      return opens(event, `${event.data.source}/corrupt/${event.data.store}`)
    case 'copy.failed': {
      const { source, what, store, final, error } = event.data
      // A missing program says nothing about the copy: it is told, but it is no incident.
      if (!final || error.code === 'CANNOT_VERIFY_HERE') return null
      // Good bytes with data that fail the source's checks: the source is the trouble, not this store.
      return opens(event, `${source}/${CONDITIONS[error.code] ?? `${what}/${store}`}`)
    }
    case 'wal-stream.failed':
      return opens(event, `${event.data.source}/wal`)
    case 'change-stream.failed':
      return opens(event, `${event.data.source}/changes`)
    case 'restore.failed':
      return opens(event, `${event.data.source}/restore`)
    default:
      return null
  }
}

/** The incidents that an event may end, going by the event alone. */
export function incidentsEndedBy(event: SalvorEvent): readonly IncidentChange[] {
  switch (event.type) {
    case 'backup.completed': {
      const { source, type, merged } = event.data
      const merging = type === 'full' ? [ends(`${source}/merge`, 'backup.failed')] : []
      // A merge does not read the source: it says nothing about backups of it.
      if (merged !== undefined) return merging
      return [...endedTypes(type).map((ended) => ends(`${source}/backup/${ended}`, 'backup.failed')), ...merging]
    }
    case 'source.vanished':
      // What is not to be backed up any more does not fail at it.
      return (['full', 'incremental'] as const).map((type) =>
        ends(`${event.data.source}/backup/${type}`, 'backup.failed'),
      )
    case 'copy.verified': {
      const { source, store, level } = event.data
      const looked = [
        ends(`${source}/corrupt/${store}`, 'copy.corrupt'),
        ends(`${source}/verify/${store}`, 'copy.failed'),
      ]
      // A look at a copy that is not published as good is one at the WAL or the change sets beside it that was not.
      if (level !== 'checksum')
        looked.push(ends(`${source}/wal-copies`, 'copy.failed'), ends(`${source}/change-copies`, 'copy.failed'))
      // Only a restore runs the source's checks, and replays what is stored beside it.
      if (level === 'restore')
        looked.push(ends(`${source}/checks`, 'copy.failed'), ends(`${source}/recovery`, 'copy.failed'))
      return looked
    }
    case 'recovery.proven':
      return [ends(`${event.data.source}/recovery`, 'copy.failed')]
    case 'copy.replicated':
      return [ends(`${event.data.source}/replicate/${event.data.store}`, 'copy.failed')]
    case 'wal-stream.recovered':
      return [ends(`${event.data.source}/wal`, 'wal-stream.failed')]
    case 'change-stream.recovered':
      return [ends(`${event.data.source}/changes`, 'change-stream.failed')]
    case 'restore.completed':
      return [ends(`${event.data.source}/restore`, 'restore.failed')]
    default:
      return []
  }
}

/**
 * Events come late and in any order: true when the rows say that what the event tells is over already, so that no
 * incident opens that nothing would ever resolve. `backups`: the named backup, or the newest of the source.
 */
export function isOver(event: SalvorEvent, backups: readonly BackupWithCopies[]): boolean {
  switch (event.type) {
    case 'backup.failed':
      // A merged full is newer than its state: only one that was begun and read since tells that the source is read again.
      return backups.some(
        ({ type, timestamp, consistent_at }) =>
          timestamp > event.time &&
          (event.data.merge === true || consistent_at > event.time) &&
          endedTypes(type).includes(event.data.type),
      )
    case 'copy.corrupt':
      return stateOf(backups, event.data.backup_id, event.data.store) !== 'corrupt'
    case 'copy.failed': {
      const { backup_id, store, what } = event.data
      if (!backups.some((backup) => backup.id === backup_id)) return true
      return what === 'replicate' && (stateOf(backups, backup_id, store) ?? 'pending') !== 'pending'
    }
    default:
      return false
  }
}

/**
 * True while other rows keep the incident open: one good copy does not make another one good, and what is newer or older
 * may still lack what this one has. `backups`: all of the source.
 */
export function isHeldOpen(event: SalvorEvent, { key }: IncidentChange, backups: readonly BackupWithCopies[]): boolean {
  if (event.type !== 'copy.verified' && event.type !== 'copy.replicated') return false
  const { source, backup_id, store } = event.data
  const at = backups.find((backup) => backup.id === backup_id)?.timestamp ?? ''
  switch (key.slice(source.length + 1)) {
    case `corrupt/${store}`:
      return backups.some((backup) => stateOf([backup], backup.id, store) === 'corrupt')
    case `replicate/${store}`:
      return backups.some((backup) => backup.timestamp < at && stateOf([backup], backup.id, store) === 'pending')
    case 'checks':
      return backups.some((backup) => backup.timestamp > at && backup.type === 'full')
    default:
      return false
  }
}

/** A full starts anew and so ends the failing of both; an incremental says nothing about fulls, a safety copy nothing at all. */
function endedTypes(completed: BackupType): readonly BackupType[] {
  if (completed === 'full') return ['full', 'incremental']
  return completed === 'incremental' ? ['incremental'] : []
}

function stateOf(backups: readonly BackupWithCopies[], id: string, store: string): CopyState | undefined {
  return backups.find((backup) => backup.id === id)?.copies.find((copy) => copy.store === store)?.state
}

function opens(event: SalvorEvent, key: string): IncidentChange {
  return { key, change: 'open', opened_by: event.type }
}

function ends(key: string, opened_by: EventType): IncidentChange {
  return { key, change: 'resolve', opened_by }
}
