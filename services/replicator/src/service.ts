import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { onBackupCompleted } from './handlers/on-backup-completed.ts'
import { replicateCopy } from './handlers/replicate-copy.ts'

/** Copies backups between stores; never sees a source. */
export const replicator: ServiceDefinition = {
  name: 'replicator',
  jobs: { 'replicate-copy': replicateCopy },
  subscriptions: { 'backup.completed': onBackupCompleted },
}
