import type { TaskTable } from '@salvor/shared/ports/tasks'
import { restoreToScratch } from './restore-to-scratch.ts'
import type { TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, into the sandbox, opens it with the real engine and runs the checks. The caller empties the sandbox. */
export async function prove(
  { source, chain }: TaskTable['prove']['input'],
  context: TaskContext,
): Promise<TaskTable['prove']['output']> {
  const { engine, target, restored, engine_facts, restore_ms } = await restoreToScratch(source, chain, context)
  const own = context.config.settings.sources.get(source)?.checks ?? []
  const checks = await engine.prove(target, own, engine_facts, context.signal)
  return { checks: [...restored.checks, ...checks], restore_ms }
}
