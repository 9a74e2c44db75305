import { writeBackup } from '@salvor/repository/write-backup'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { VERSION } from '../version.ts'
import { joinProgress } from './joined-progress.ts'
import { engineContext, openStore, type TaskContext } from './task-context.ts'

/** Takes one backup of a source, or of the stopped place that a restore is about to overwrite, into one store. */
export async function snapshot(
  input: TaskTable['snapshot']['input'],
  context: TaskContext,
): Promise<TaskTable['snapshot']['output']> {
  const { config, clock, keyring, signal } = context
  const source = config.settings.sources.get(input.source)
  if (!source) throw new SalvorError('SOURCE_UNKNOWN', { source: input.source })
  const progress = joinProgress(context.progress)
  const engine = await config.openEngine(
    input.source,
    engineContext(input.source, { ...context, progress: progress.engine }),
  )
  await using opened = await openStore(context, input.store)
  return await writeBackup(
    {
      store: opened.store,
      keyring,
      encrypt: source.encrypt,
      allowPlain: source.plain_allowed ?? false,
      compression: source.compression,
      threads: config.threads,
      artifact: artifactKind(source),
      engine: source.engine,
      id: input.backup_id,
      source: input.source,
      type: fullType(input, source),
      retention_class: input.retention_class,
      retention_until: input.retention_until,
      timestamp: input.timestamp,
      filename_stem: input.filename_stem,
      parent: null,
      tool_version: VERSION,
      monotonicMs: () => clock.monotonicMs(),
      onProgress: progress.bytes,
    },
    (sink) =>
      input.offline_target === null
        ? engine.snapshot(sink, signal)
        : engine.offlineSnapshot(input.offline_target, sink, signal),
    signal,
  )
}

/** A full must not be stored under the name of an incremental that no engine can take yet. */
function fullType(input: TaskTable['snapshot']['input'], source: SourceSettings): 'full' | 'pre_restore' {
  if (input.type !== 'incremental') return input.type
  const fix = `salvor backup ${source.name} --type full`
  throw new SalvorError('NOT_AVAILABLE', { what: `an incremental backup of ${source.engine}`, fix })
}

function artifactKind(source: SourceSettings): 'db' | 'tar' {
  if (source.artifact === 'db' || source.artifact === 'tar') return source.artifact
  throw new SalvorError('NOT_AVAILABLE', { what: `an artifact of kind ${source.artifact}`, fix: 'run a newer Salvor' })
}
