import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { openChain } from './open-chain.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** What is in a backup, without restoring it. */
export async function listContents(
  { source, chain: addresses, database }: TaskTable['contents']['input'],
  context: TaskContext,
): Promise<TaskTable['contents']['output']> {
  await using chain = await openChain(addresses, source, context, () => undefined)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, context)
  if (!engine.list) {
    const fix = `salvor export ${source} --format csv shows its tables`
    throw new SalvorError('NOT_AVAILABLE', { what: `a list of what is in a backup of ${manifest.engine}`, fix })
  }
  const { increments } = chain
  const request = { increments, engine_facts: manifest.engine_facts, database }
  return { entries: await engine.list(content, request, context.signal) }
}
