import { noSource } from '@salvor/policy/fleets'
import { writeBackup } from '@salvor/repository/write-backup'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { backupRequest } from './backup-request.ts'
import { fetchParent } from './fetch-parent.ts'
import { joinProgress } from './joined-progress.ts'
import { engineContext, openStore, type TaskContext } from './task-context.ts'

/** Takes one backup of a source, or of the stopped place that a restore is about to overwrite, into one store. */
export async function snapshot(
  input: TaskTable['snapshot']['input'],
  context: TaskContext,
): Promise<TaskTable['snapshot']['output']> {
  const { config, signal } = context
  const source = config.settings.sources.get(input.source)
  if (!source) throw noSource(input.source, config.settings.fleets)
  const progress = joinProgress(context.progress)
  const engine = await config.openEngine(
    input.source,
    engineContext(input.source, { ...context, progress: progress.engine }),
  )
  if (input.type === 'incremental' && !engine.snapshotChanges) throw noIncrementals(source)
  if (input.type === 'incremental' && input.chain.length === 0) {
    throw new SalvorError('FULL_NEEDED', { source: input.source, parent: 'nothing', reason: 'there is no parent' })
  }
  const parent = input.type === 'incremental' ? await fetchParent(input.chain, input.source, context) : null
  await using opened = await openStore(context, input.store)
  return await writeBackup(
    {
      ...backupRequest(input, source, opened.store, { ...context, progress: progress.bytes }),
      parent: parent?.backup.id ?? null,
      parent_digests: parent?.digests,
      chain: input.chain.map(({ backup_id: id, filename }) => ({ id, filename })),
    },
    (sink) => {
      if (input.offline_target !== null) return engine.offlineSnapshot(input.offline_target, sink, signal)
      if (!parent) return engine.snapshot(sink, signal)
      return engine.snapshotChanges!(parent.backup, sink, { skipUnchanged: input.skip_unchanged }, signal)
    },
    signal,
  )
}

function noIncrementals(source: SourceSettings): SalvorError {
  const fix = `salvor backup ${source.name} --type full`
  return new SalvorError('NOT_AVAILABLE', { what: `an incremental backup of ${source.engine}`, fix })
}
