import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openChanges } from './open-changes.ts'
import { openRecovery } from './open-recovery.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, to a target that a person named. A failure leaves what was there. */
export async function restore(
  input: TaskTable['restore']['input'],
  context: TaskContext,
): Promise<TaskTable['restore']['output']> {
  const { source, target, in_place, tablespaces, recovery: wanted, changes } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  await engine.assertTarget(target, in_place)
  const { engine_facts } = manifest
  await using recovery = wanted ? await openRecovery(wanted, source, context) : null
  await using later = await openChanges(changes, source, context)
  const increments = [...chain.increments, ...later.increments]
  const request = { target, in_place, increments, engine_facts, tablespaces, recovery: recovery?.request }
  const restored = await engine.restore(content, request, context.signal)
  return changes ? { ...restored, recovered_to: changes.recovers_to } : restored
}
