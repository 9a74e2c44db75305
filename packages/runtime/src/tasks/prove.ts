import { join } from 'node:path'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openRecovery } from './open-recovery.ts'
import { assertRoom, walBytes } from './room.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** Restores one backup, with what it stands on, into the sandbox, opens it with the real engine and runs the checks. The caller empties the sandbox. */
export async function prove(
  input: TaskTable['prove']['input'],
  context: TaskContext,
): Promise<TaskTable['prove']['output']> {
  const { config, clock, scratch_dir, signal } = context
  const { source } = input
  const progress = joinProgress(context.progress)
  await using chain = await openChain(input.chain, source, context, progress.bytes)
  const { manifest, content } = chain.full
  await assertRoom(scratch_dir, chain.source_bytes + walBytes(input.recovery))
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  const target = join(scratch_dir, 'restored')
  const { increments } = chain
  const { engine_facts } = manifest
  const newest = increments.at(-1)?.engine_facts ?? engine_facts
  const began = clock.monotonicMs()
  await using recovery = input.recovery ? await openRecovery(input.recovery, source, context) : null
  const place = { target, in_place: false, tablespaces: 'inside', proof_follows: true } as const
  const request = { ...place, increments, engine_facts, recovery: recovery?.request }
  const restored = await engine.restore(content, request, signal)
  const reached = recovery && engine.recover ? await engine.recover(target, recovery.request, signal) : null
  const restore_ms = clock.monotonicMs() - began
  const checks = await engine.prove(target, config.settings.sources.get(source)?.checks ?? [], newest, signal)
  return { checks: [...restored.checks, ...checks], restore_ms, reached }
}
