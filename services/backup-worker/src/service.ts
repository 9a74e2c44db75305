import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { planFirstBackup } from './first-backup.ts'
import { compactChanges } from './handlers/compact-changes.ts'
import { mergeChain } from './handlers/merge-chain.ts'
import { onSourceRegistered } from './handlers/on-source-registered.ts'
import { restoreBackup } from './handlers/restore-backup.ts'
import { takeBackup } from './handlers/take-backup.ts'
import { changeStreaming } from './changes/change-streaming.ts'
import { streamSources } from './stream-sources.ts'
import { walStreaming } from './wal/stream-source.ts'

/** Takes, merges and restores backups; the only service that touches sources. */
export const backupWorker: ServiceDefinition = {
  name: 'backup-worker',
  jobs: {
    'take-backup': takeBackup,
    'merge-chain': mergeChain,
    'compact-changes': compactChanges,
    'restore-backup': restoreBackup,
  },
  subscriptions: { 'source.registered': onSourceRegistered },
  duty: {
    beside: 'take-backup',
    async run(deps, signal) {
      await Promise.all([walStreaming, changeStreaming].map((kind) => streamSources(kind, deps, signal)))
    },
  },
  async start(deps) {
    for (const source of deps.settings().sources.values()) {
      const commit = await planFirstBackup(deps, source)
      if (commit) await deps.catalog.transaction({ service: 'backup-worker' }, commit)
    }
  },
}
