import { join } from 'node:path'
import type { ParentDigests } from '@salvor/repository/digests-to-store'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import { fetchChainDigests } from './fetch-chain-digests.ts'
import { assertSource, type TaskContext } from './task-context.ts'

/** A parent, and what the digests of its child are told by. */
export interface FetchedParent {
  readonly backup: ParentBackup
  readonly digests: ParentDigests
}

/** Brings what an incremental needs to know of its parent, the last of `chain`, into the scratch folder. FULL_NEEDED where that cannot be had. */
export async function fetchParent(
  chain: readonly CopyAddress[],
  source: string,
  context: TaskContext,
): Promise<FetchedParent> {
  const file = join(context.scratch_dir, 'parent.digests')
  const parent = chain.at(-1)!
  try {
    const { id, consistent_at, engine_facts, ...manifest } = await fetchChainDigests(chain, file, context)
    assertSource(manifest, source, parent.manifest_key)
    const digests = { file, sha256: manifest.digests_sha256! }
    return { backup: { id, consistent_at, engine_facts, digests: file }, digests }
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (error.code === 'INTERRUPTED' || error.code === 'DISK_FULL' || error.retryable) throw error
    const facts = { source, parent: parent.filename, reason: error.message }
    throw new SalvorError('FULL_NEEDED', facts, error)
  }
}
