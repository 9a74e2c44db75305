import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, to a target that a person named. A failure leaves what was there. */
export async function restore(
  input: TaskTable['restore']['input'],
  context: TaskContext,
): Promise<TaskTable['restore']['output']> {
  const { source, target, in_place, tablespaces } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  await engine.assertTarget(target, in_place)
  const { engine_facts } = manifest
  const request = { target, in_place, increments: chain.increments, engine_facts, tablespaces }
  return await engine.restore(content, request, context.signal)
}
