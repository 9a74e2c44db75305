import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Engine, RestoreFacts, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

/** What the engine writes beside the restored bytes: logs, journals, a server's own files. */
const EXTRA_BYTES = 64_000_000

export interface RestoredToScratch {
  readonly engine: Engine
  readonly target: string
  readonly restored: RestoreFacts
  /** Of the backup whose state it is. */
  readonly engine_facts: SnapshotFacts['engine_facts']
  readonly restore_ms: number
}

/** Restores the last of a chain, with what it stands on, into the sandbox, which the caller empties. */
export async function restoreToScratch(
  source: string,
  addresses: readonly CopyAddress[],
  context: TaskContext,
): Promise<RestoredToScratch> {
  const { clock, scratch_dir, signal } = context
  const progress = joinProgress(context.progress)
  await using chain = await openChain(addresses, source, context, progress.bytes)
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
  return { engine, target, restored, engine_facts: newest, restore_ms: clock.monotonicMs() - began }
}

/** The sandbox often lies beside the catalog: a proof must not be what fills that disk. */
async function assertRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + EXTRA_BYTES) throw new SalvorError('DISK_FULL', { what: `the sandbox ${folder}` })
}
