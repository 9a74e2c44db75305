import { ARTIFACT_KINDS, type ArtifactKind } from '@salvor/repository/layout'
import type { BackupRequest } from '@salvor/repository/write-backup'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { VERSION } from '../version.ts'
import type { TaskContext } from './task-context.ts'

type Named = Omit<TaskTable['snapshot']['input'], 'chain' | 'skip_unchanged' | 'offline_target'>

/** How a backup of this source is written into a store; one that stands on nothing. */
export function backupRequest(
  { backup_id: id, source: name, type, retention_class, retention_until, timestamp, filename_stem }: Named,
  source: SourceSettings,
  store: Store,
  { keyring, config, clock, progress }: TaskContext,
): BackupRequest {
  return {
    store,
    keyring,
    encrypt: source.encrypt,
    allowPlain: source.plain_allowed ?? false,
    compression: { algorithm: source.compression.algorithm, level: source.compression.level },
    threads: config.threads,
    artifact: artifactKind(type === 'incremental' ? source.incremental_artifact : source.artifact),
    engine: source.engine,
    id,
    source: name,
    type,
    retention_class,
    retention_until,
    timestamp,
    filename_stem,
    parent: null,
    tool_version: VERSION,
    monotonicMs: () => clock.monotonicMs(),
    onProgress: progress,
  }
}

function artifactKind(kind: string | undefined): ArtifactKind {
  const known = ARTIFACT_KINDS.find((one) => one === kind)
  if (known) return known
  throw new SalvorError('NOT_AVAILABLE', { what: `an artifact of kind ${kind}`, fix: 'run a newer Salvor' })
}
