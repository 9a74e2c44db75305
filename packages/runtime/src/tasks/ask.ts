import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { restoreToScratch } from './restore-to-scratch.ts'
import type { TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, into the sandbox, replays WAL on it, and asks it by SQL. The caller empties the sandbox. */
export async function ask(
  { source, chain, sql, recovery: wanted }: TaskTable['ask']['input'],
  context: TaskContext,
): Promise<TaskTable['ask']['output']> {
  const unsupported = (kind: string): SalvorError => {
    const fix = `salvor restore ${source} --to NEW_PLACE, and ask that`
    return new SalvorError('READING_UNSUPPORTED', { source, reason: `a backup of ${kind} answers no SQL`, fix })
  }
  const { engine, target, recovery } = await restoreToScratch(source, chain, context, {
    recovery: wanted,
    needs: (able, kind) => {
      if (!able.askRestored) throw unsupported(kind)
    },
  })
  return { results: await engine.askRestored!(target, sql, recovery, context.signal) }
}
