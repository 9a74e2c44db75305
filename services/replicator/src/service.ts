import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { onBackupCompleted } from './handlers/on-backup-completed.ts'
import { onWalSegmentStored } from './handlers/on-wal-segment-stored.ts'
import { replicateCopy } from './handlers/replicate-copy.ts'
import { replicateWal } from './handlers/replicate-wal.ts'

/** Copies backups and WAL between stores; never sees a source. */
export const replicator: ServiceDefinition = {
  name: 'replicator',
  jobs: { 'replicate-copy': replicateCopy, 'replicate-wal': replicateWal },
  subscriptions: { 'backup.completed': onBackupCompleted, 'wal-segment.stored': onWalSegmentStored },
}
