import { backupWorker } from '@salvor/backup-worker'
import { notifier } from '@salvor/notifier'
import { replicator } from '@salvor/replicator'
import { scheduler } from '@salvor/scheduler'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { verifier } from '@salvor/verifier'

/** All five, in the order in which they start. */
export const DEFINITIONS: readonly ServiceDefinition[] = [scheduler, backupWorker, verifier, replicator, notifier]
