import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** What the engine writes beside the restored bytes: logs, journals, a server's own files. */
const EXTRA_BYTES = 64_000_000

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
  await assertRoom(scratch_dir, chain.source_bytes)
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  const target = join(scratch_dir, 'restored')
  const { increments } = chain
  const { engine_facts } = manifest
  const newest = increments.at(-1)?.engine_facts ?? engine_facts
  const began = clock.monotonicMs()
  const request = { target, in_place: false, increments, engine_facts, tablespaces: 'inside' } as const
  const restored = await engine.restore(content, request, signal)
  const restore_ms = clock.monotonicMs() - began
  const checks = await engine.prove(target, config.settings.sources.get(source)?.checks ?? [], newest, signal)
  return { checks: [...restored.checks, ...checks], restore_ms }
}

/** The sandbox often lies beside the catalog: a proof must not be what fills that disk. */
export async function assertRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + EXTRA_BYTES) throw new SalvorError('DISK_FULL', { what: `the sandbox ${folder}` })
}
