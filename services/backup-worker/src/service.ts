import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { planFirstBackup } from './first-backup.ts'
import { onSourceRegistered } from './handlers/on-source-registered.ts'
import { restoreBackup } from './handlers/restore-backup.ts'
import { takeBackup } from './handlers/take-backup.ts'
import { streamSources } from './wal/stream-sources.ts'

/** Takes and restores backups; the only service that touches sources. */
export const backupWorker: ServiceDefinition = {
  name: 'backup-worker',
  jobs: { 'take-backup': takeBackup, 'restore-backup': restoreBackup },
  subscriptions: { 'source.registered': onSourceRegistered },
  duty: streamSources,
  async start(deps) {
    for (const source of deps.settings().sources.values()) {
      const commit = await planFirstBackup(deps, source)
      if (commit) await deps.catalog.transaction({ service: 'backup-worker' }, commit)
    }
  },
}
