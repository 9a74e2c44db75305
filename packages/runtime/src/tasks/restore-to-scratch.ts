import { join } from 'node:path'
import type { Engine, RecoveryRequest, RestoreFacts, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { ChangesInput, CopyAddress, RecoveryInput } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { openChain } from './open-chain.ts'
import { openChanges } from './open-changes.ts'
import { openRecovery } from './open-recovery.ts'
import { assertRoom, walBytes } from './room.ts'
import { engineOfBackup, type TaskContext } from './task-context.ts'

export interface RestoredToScratch {
  readonly engine: Engine
  readonly target: string
  readonly restored: RestoreFacts
  /** What is replayed on it once a server runs. */
  readonly recovery: RecoveryRequest | undefined
  /** Of the backup whose state it is. */
  readonly engine_facts: SnapshotFacts['engine_facts']
  readonly restore_ms: number
}

export interface ScratchOptions {
  readonly recovery?: RecoveryInput | undefined
  readonly changes?: ChangesInput | undefined
  readonly proof_follows?: true
  /** Throws where the engine cannot do what comes next: before a byte moves. */
  readonly needs?: (engine: Engine, kind: string) => void
}

/** Restores the last of a chain, with what it stands on, into the sandbox, which the caller empties. */
export async function restoreToScratch(
  source: string,
  addresses: readonly CopyAddress[],
  context: TaskContext,
  { recovery: wanted, changes, proof_follows, needs }: ScratchOptions = {},
): Promise<RestoredToScratch> {
  const { clock, scratch_dir, signal } = context
  const progress = joinProgress(context.progress)
  await using chain = await openChain(addresses, source, context, progress.bytes)
  const { manifest, content } = chain.full
  await assertRoom(scratch_dir, chain.source_bytes + walBytes(wanted))
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  needs?.(engine, manifest.engine)
  const target = join(scratch_dir, 'restored')
  await using later = await openChanges(changes, source, context)
  const increments = [...chain.increments, ...later.increments]
  const { engine_facts } = manifest
  const newest = chain.increments.at(-1)?.engine_facts ?? engine_facts
  const began = clock.monotonicMs()
  await using opened = wanted ? await openRecovery(wanted, source, context) : null
  const recovery = opened?.request
  const place = { target, in_place: false, tablespaces: 'inside', ...(proof_follows && { proof_follows }) } as const
  const restored = await engine.restore(content, { ...place, increments, engine_facts, recovery }, signal)
  return { engine, target, restored, recovery, engine_facts: newest, restore_ms: clock.monotonicMs() - began }
}
