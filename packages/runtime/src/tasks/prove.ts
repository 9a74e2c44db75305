import type { TaskTable } from '@salvor/shared/ports/tasks'
import { restoreToScratch } from './restore-to-scratch.ts'
import type { TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, into the sandbox, opens it with the real engine and runs the checks. The caller empties the sandbox. */
export async function prove(
  { source, chain, recovery: wanted, changes }: TaskTable['prove']['input'],
  context: TaskContext,
): Promise<TaskTable['prove']['output']> {
  const { clock, config, signal } = context
  const options = { recovery: wanted, changes, proof_follows: true } as const
  const { engine, target, restored, recovery, engine_facts, ...took } = await restoreToScratch(
    source,
    chain,
    context,
    options,
  )
  const began = clock.monotonicMs()
  const reached = recovery && engine.recover ? await engine.recover(target, recovery, signal) : null
  const restore_ms = took.restore_ms + clock.monotonicMs() - began
  const checks = await engine.prove(target, config.settings.sources.get(source)?.checks ?? [], engine_facts, signal)
  return { checks: [...restored.checks, ...checks], restore_ms, reached }
}
