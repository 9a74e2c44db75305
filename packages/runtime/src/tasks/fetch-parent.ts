import { join } from 'node:path'
import { fetchDigests } from '@salvor/repository/digests-file'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import { assertSource, openStore, type TaskContext } from './task-context.ts'

/** Brings what an incremental needs to know of its parent into the scratch folder. FULL_NEEDED where that cannot be had. */
export async function fetchParent(address: CopyAddress, source: string, context: TaskContext): Promise<ParentBackup> {
  const file = join(context.scratch_dir, 'parent.digests')
  try {
    await using opened = await openStore(context, address.store)
    const { manifest_key, manifest_sha256 } = address
    const from = { store: opened.store, manifest_key, manifest_sha256, keyring: context.keyring }
    const { id, consistent_at, engine_facts, ...manifest } = await fetchDigests(from, file, context.signal)
    assertSource(manifest, source, manifest_key)
    return { id, consistent_at, engine_facts, digests: file }
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (error.code === 'INTERRUPTED' || error.code === 'DISK_FULL' || error.retryable) throw error
    const facts = { source, parent: address.filename, reason: error.message }
    throw new SalvorError('FULL_NEEDED', facts, error)
  }
}
