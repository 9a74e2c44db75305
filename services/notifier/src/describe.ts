import type { EventType, SalvorEvent } from '@salvor/shared/messages/events'
import type { Notification } from '@salvor/shared/ports/channel'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { describeBackupCompleted, describeBackupFailed } from './describe-backup.ts'
import {
  describeCopyCorrupt,
  describeCopyFailed,
  describeCopyReplicated,
  describeCopyVerified,
} from './describe-copy.ts'
import { describeRecoveryProven } from './describe-recovery.ts'
import { describeSourceVanished } from './describe-source.ts'
import { describeChangesFailed, describeChangesRecovered } from './describe-changes.ts'
import { describeWalFailed, describeWalGap, describeWalRecovered } from './describe-wal.ts'
import { describeRestoreCompleted, describeRestoreFailed } from './describe-restore.ts'

/** What the catalog adds to an event. Null: it has none, or it was not asked. */
export interface Background {
  /** The backup that the event names. */
  readonly backup: BackupWithCopies | null
  /** The newest backup of the source with a good copy. */
  readonly lastGood: BackupWithCopies | null
}

/** The part of a notification that the event's type decides. */
export type Description = Pick<Notification, 'title' | 'text' | 'hint' | 'fields'>
/** `recovered`: the event ended the incident of this key. */
export type Describe<T extends EventType> = (
  event: SalvorEvent<T>,
  background: Background,
  recovered: string | null,
) => Description

type Described = Extract<
  EventType,
  `${'backup' | 'copy' | 'recovery' | 'restore' | 'wal-gap' | 'wal-stream' | 'change-stream'}.${string}`
>
export type ToldEvent = Exclude<Described, 'backup.started'> | 'source.vanished'

const DESCRIBE: { readonly [T in ToldEvent]: Describe<T> } = {
  'source.vanished': describeSourceVanished,
  'backup.completed': describeBackupCompleted,
  'backup.failed': describeBackupFailed,
  'copy.replicated': describeCopyReplicated,
  'copy.verified': describeCopyVerified,
  'copy.corrupt': describeCopyCorrupt,
  'copy.failed': describeCopyFailed,
  'recovery.proven': describeRecoveryProven,
  'wal-gap.detected': describeWalGap,
  'wal-stream.failed': describeWalFailed,
  'wal-stream.recovered': describeWalRecovered,
  'change-stream.failed': describeChangesFailed,
  'change-stream.recovered': describeChangesRecovered,
  'restore.completed': describeRestoreCompleted,
  'restore.failed': describeRestoreFailed,
}

/** What a person reads: one line, the cause in a sentence or two, the command to type, and the figures in words. */
export function describe(
  event: SalvorEvent,
  decided: Pick<Notification, 'severity' | 'incident'>,
  background: Background,
): Notification {
  const { id: event_id, type: event_type, time } = event
  const recovered = decided.incident?.change === 'resolve' ? decided.incident.key : null
  const form = isTold(event.type) ? (DESCRIBE[event.type] as Describe<EventType>) : plainly
  return { event_id, event_type, time, ...decided, ...form(event, background, recovered) }
}

function isTold(type: EventType): type is ToldEvent {
  return Object.hasOwn(DESCRIBE, type)
}

/** An event that only a `*` route names. */
function plainly(event: SalvorEvent): Description {
  return { title: `${event.type}: ${event.subject}`, text: '', hint: null, fields: [] }
}
