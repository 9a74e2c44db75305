import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { planFirstBackup } from './first-backup.ts'
import { mergeChain } from './handlers/merge-chain.ts'
import { onSourceRegistered } from './handlers/on-source-registered.ts'
import { restoreBackup } from './handlers/restore-backup.ts'
import { takeBackup } from './handlers/take-backup.ts'
import { streamSources } from './wal/stream-sources.ts'

/** Takes, merges and restores backups; the only service that touches sources. */
export const backupWorker: ServiceDefinition = {
  name: 'backup-worker',
  jobs: { 'take-backup': takeBackup, 'merge-chain': mergeChain, 'restore-backup': restoreBackup },
  subscriptions: { 'source.registered': onSourceRegistered },
  duty: { beside: 'take-backup', run: streamSources },
  async start(deps) {
    for (const source of deps.settings().sources.values()) {
      const commit = await planFirstBackup(deps, source)
      if (commit) await deps.catalog.transaction({ service: 'backup-worker' }, commit)
    }
  },
}
