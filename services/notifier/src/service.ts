import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { onBackupCompleted, onBackupFailed } from './handlers/on-backup-event.ts'
import { onChangeStreamFailed, onChangeStreamRecovered } from './handlers/on-change-stream-event.ts'
import { onCopyCorrupt, onCopyFailed, onCopyReplicated, onCopyVerified } from './handlers/on-copy-event.ts'
import { onRecoveryProven } from './handlers/on-recovery-proven.ts'
import { onRestoreCompleted, onRestoreFailed } from './handlers/on-restore-event.ts'
import { onSourceVanished } from './handlers/on-source-vanished.ts'
import { onWalFailed, onWalGap, onWalRecovered } from './handlers/on-wal-event.ts'
import { sendNotification } from './handlers/send-notification.ts'

/** Tells people what happened; reads the catalog, touches no source and no store. */
export const notifier: ServiceDefinition = {
  name: 'notifier',
  jobs: { 'send-notification': sendNotification },
  subscriptions: {
    'source.vanished': onSourceVanished,
    'backup.completed': onBackupCompleted,
    'backup.failed': onBackupFailed,
    'copy.replicated': onCopyReplicated,
    'copy.verified': onCopyVerified,
    'copy.corrupt': onCopyCorrupt,
    'copy.failed': onCopyFailed,
    'recovery.proven': onRecoveryProven,
    'wal-gap.detected': onWalGap,
    'wal-stream.failed': onWalFailed,
    'wal-stream.recovered': onWalRecovered,
    'change-stream.failed': onChangeStreamFailed,
    'change-stream.recovered': onChangeStreamRecovered,
    'restore.completed': onRestoreCompleted,
    'restore.failed': onRestoreFailed,
  },
}
