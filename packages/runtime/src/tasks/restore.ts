import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Engine, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openChanges } from './open-changes.ts'
import { openRecovery } from './open-recovery.ts'
import { assertRoom, walBytes } from './room.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** The target that is no place, but the output of the process. */
const STREAM = '-'

/** Restores one backup, with what it stands on, to a target that a person named. A failure leaves what was there. */
export async function restore(
  input: TaskTable['restore']['input'],
  context: TaskContext,
): Promise<TaskTable['restore']['output']> {
  const { source, target, in_place, delta, tablespaces, parts, recovery: wanted, changes, start } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  const { engine_facts } = manifest
  if (target !== STREAM) await engine.assertTarget(target, in_place, delta && { delta, engine_facts })
  if (start) await assertStartable(engine, manifest.engine, chain.increments.at(-1)?.engine_facts ?? engine_facts)
  await using recovery = wanted ? await openRecovery(wanted, source, context) : null
  await using later = await openChanges(changes, source, context)
  const increments = [...chain.increments, ...later.increments]
  const request = { target, in_place, delta, increments, engine_facts, tablespaces, parts, recovery: recovery?.request }
  if (target === STREAM) {
    if (!context.output) throw new SalvorError('USAGE', { reason: 'a service has no output', command: 'restore' })
    if (increments.length > 0 || recovery || parts)
      await assertRoom(context.scratch_dir, chain.source_bytes + walBytes(wanted))
    const streamed = await engine.restoreStream(content, request, context.output, context.signal)
    return { ...streamed, ...(changes && { recovered_to: changes.recovers_to }), reached: null }
  }
  const restored = await engine.restore(content, request, context.signal)
  const reached = start ? await engine.recover!(target, recovery?.request ?? null, context.signal) : null
  return { ...restored, ...(changes && { recovered_to: changes.recovers_to }), reached }
}

/** Before a byte moves. */
async function assertStartable(engine: Engine, kind: string, facts: SnapshotFacts['engine_facts']): Promise<void> {
  if (!engine.recover)
    throw new SalvorError('USAGE', { reason: `a backup of ${kind} is not started`, command: 'restore' })
  await engine.assertRecoverable?.(facts)
}
