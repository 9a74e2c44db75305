import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { onBackupCompleted } from './handlers/on-backup-completed.ts'
import { onCopyReplicated } from './handlers/on-copy-replicated.ts'
import { proveRecovery } from './handlers/prove-recovery.ts'
import { verifyCopy } from './handlers/verify-copy.ts'

/** Proves that copies come back; reads stores, writes none. */
export const verifier: ServiceDefinition = {
  name: 'verifier',
  jobs: { 'verify-copy': verifyCopy, 'prove-recovery': proveRecovery },
  subscriptions: { 'backup.completed': onBackupCompleted, 'copy.replicated': onCopyReplicated },
}
