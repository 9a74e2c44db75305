import { openArtifact } from '@salvor/repository/read-artifact'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { assertSource, engineOfBackup, openStore, type TaskContext } from './task-context.ts'

/** Restores one copy to a target that a person named. A failure leaves what was there. */
export async function restore(
  input: TaskTable['restore']['input'],
  context: TaskContext,
): Promise<TaskTable['restore']['output']> {
  const { keyring, config, signal } = context
  const { source, manifest_key, manifest_sha256, target, in_place } = input
  const progress = joinProgress(context.progress)
  await using opened = await openStore(context, input.store)
  const request = { store: opened.store, manifest_key, manifest_sha256, keyring, threads: config.threads }
  await using artifact = await openArtifact({ ...request, onProgress: progress.bytes }, signal)
  const { manifest, content } = artifact
  assertSource(manifest, source, manifest_key)
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  await engine.assertTarget(target, in_place)
  const { engine_facts } = manifest
  return await engine.restore(content, { target, in_place, engine_facts }, signal)
}
