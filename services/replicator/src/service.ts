import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { onBackupCompleted } from './handlers/on-backup-completed.ts'
import { onChangeSetStored } from './handlers/on-change-set-stored.ts'
import { onWalSegmentStored } from './handlers/on-wal-segment-stored.ts'
import { expireChanges } from './handlers/expire-changes.ts'
import { replicateChanges } from './handlers/replicate-changes.ts'
import { replicateCopy } from './handlers/replicate-copy.ts'
import { replicateWal } from './handlers/replicate-wal.ts'

/** Copies backups, WAL and change sets between stores, and deletes what is not kept; never sees a source. */
export const replicator: ServiceDefinition = {
  name: 'replicator',
  jobs: {
    'replicate-copy': replicateCopy,
    'replicate-wal': replicateWal,
    'replicate-changes': replicateChanges,
    'expire-changes': expireChanges,
  },
  subscriptions: {
    'backup.completed': onBackupCompleted,
    'wal-segment.stored': onWalSegmentStored,
    'change-set.stored': onChangeSetStored,
  },
}
