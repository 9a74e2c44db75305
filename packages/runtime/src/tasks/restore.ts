import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Engine, SnapshotFacts } from '@salvor/shared/ports/engine'
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
  const { source, target, in_place, tablespaces, recovery: wanted, start } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  await engine.assertTarget(target, in_place)
  const { engine_facts } = manifest
  if (start) await assertStartable(engine, manifest.engine, chain.increments.at(-1)?.engine_facts ?? engine_facts)
  await using recovery = wanted ? await openRecovery(wanted, source, context) : null
  const { increments } = chain
  const request = { target, in_place, increments, engine_facts, tablespaces, recovery: recovery?.request }
  const restored = await engine.restore(content, request, context.signal)
  const reached = start ? await engine.recover!(target, recovery?.request ?? null, context.signal) : null
  return { ...restored, reached }
}

/** Before a byte moves. */
async function assertStartable(engine: Engine, kind: string, facts: SnapshotFacts['engine_facts']): Promise<void> {
  if (!engine.recover)
    throw new SalvorError('USAGE', { reason: `a backup of ${kind} is not started`, command: 'restore' })
  await engine.assertRecoverable?.(facts)
}
