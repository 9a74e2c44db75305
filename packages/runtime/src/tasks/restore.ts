import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openRecovery } from './open-recovery.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, to a target that a person named. A failure leaves what was there. */
export async function restore(
  input: TaskTable['restore']['input'],
  context: TaskContext,
): Promise<TaskTable['restore']['output']> {
  const { source, target, in_place, tablespaces, parts, recovery: wanted } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  await engine.assertTarget(target, in_place)
  const { engine_facts } = manifest
  await using recovery = wanted ? await openRecovery(wanted, source, context) : null
  const { increments } = chain
  const request = { target, in_place, increments, engine_facts, tablespaces, parts, recovery: recovery?.request }
  return await engine.restore(content, request, context.signal)
}
