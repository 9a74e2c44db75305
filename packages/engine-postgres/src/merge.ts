import { rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { EngineContext, MergedFacts, MergeRequest } from '@salvor/shared/ports/engine'
import { epochMicros } from '@salvor/shared/vocabulary/instant'
import { ManifestInvalid } from './base-backup/manifest-spool.ts'
import { mergeChain } from './combine/merge-chain.ts'
import { FilesDiffer } from './data-folder/compare.ts'
import { TarInvalid } from './tar/header.ts'

/** The state of the last increment as a full, from the artifacts alone. ARTIFACT_CORRUPT, DISK_FULL. */
export async function merge(
  context: EngineContext,
  full: ArtifactContent,
  request: MergeRequest,
  sink: SnapshotSink,
  signal: AbortSignal,
): Promise<MergedFacts> {
  const { increments } = request
  const tip = increments.at(-1)!
  const { incremental: _, ...engine_facts } = tip.engine_facts
  const scratch = join(context.scratch_dir, 'merge')
  await mkdir(scratch, { mode: 0o700 })
  const target = {
    sink,
    scratch,
    watched: (content: ArtifactContent) => content.chunks(signal),
    written(done_bytes: number) {
      // About as many as the full has: the exact number is known at the end.
      context.progress({ phase: 'merge', done_bytes, total_bytes: Math.max(full.size, done_bytes) })
    },
    major: Math.floor(Number(engine_facts['server_version_num']) / 10_000),
    mtime: Number(epochMicros(tip.consistent_at) / 1_000_000n),
  }
  try {
    await mergeChain({ full, increments }, target, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw mergeFailure(error, context, tip.id)
  } finally {
    // Not fs.rm, which begins with all files at once.
    rmSync(scratch, { recursive: true, force: true })
  }
  // The same state as that of the last increment, so the same digests.
  return { engine_facts, digests: await request.digests() }
}

function mergeFailure(error: unknown, { source, scratch_dir }: EngineContext, key: string): unknown {
  if ([TarInvalid, FilesDiffer, ManifestInvalid, RangeError].some((kind) => error instanceof kind)) {
    return new SalvorError('ARTIFACT_CORRUPT', { key, reason: (error as Error).message, source }, error)
  }
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SalvorError('DISK_FULL', { what: scratch_dir }, error)
  return error
}
