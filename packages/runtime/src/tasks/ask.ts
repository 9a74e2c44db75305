import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openRecovery } from './open-recovery.ts'
import { assertRoom, walBytes } from './room.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, into the sandbox, replays WAL on it, and asks it by SQL. The caller empties the sandbox. */
export async function ask(input: TaskTable['ask']['input'], context: TaskContext): Promise<TaskTable['ask']['output']> {
  const { scratch_dir, signal } = context
  const { source, sql, recovery: wanted } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  if (!engine.askRestored) {
    const fix = `salvor restore ${source} --to NEW_PLACE, and ask that`
    throw new SalvorError('READING_UNSUPPORTED', {
      source,
      reason: `a backup of ${manifest.engine} answers no SQL`,
      fix,
    })
  }
  await using recovery = wanted ? await openRecovery(wanted, source, context) : null
  await assertRoom(scratch_dir, chain.source_bytes + walBytes(wanted))
  const target = join(scratch_dir, 'restored')
  const { increments } = chain
  const { engine_facts } = manifest
  const request = { target, in_place: false, increments, engine_facts, tablespaces: 'inside' } as const
  await engine.restore(content, { ...request, recovery: recovery?.request }, signal)
  return { results: await engine.askRestored(target, sql, recovery?.request, signal) }
}
