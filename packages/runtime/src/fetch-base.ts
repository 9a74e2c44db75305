import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchDigests } from '@salvor/repository/fetch-digests'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import type { Deps } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { chainAddresses } from './chain-addresses.ts'

/** Brings what a change stream needs to know of a backup into `folder`, in the place of what was there. Null: that cannot be had, now or ever. */
export async function fetchBase(
  deps: Deps,
  backup: BackupWithCopies,
  folder: string,
  signal: AbortSignal,
): Promise<ParentBackup | null> {
  const digests = join(folder, 'base.digests')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await rm(digests, { force: true })
  const { catalog, keyring, log } = deps
  const { source } = backup
  try {
    const addresses = chainAddresses(await catalog.chain(backup.id), null)
    const chain = addresses.map(({ store, ...address }) => ({ ...address, store: async () => deps.store(store) }))
    const { id, consistent_at, engine_facts } = await fetchDigests(chain, keyring, digests, signal)
    return { id, consistent_at, engine_facts, digests }
  } catch (thrown) {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (error.retryable || error.code === 'DISK_FULL') throw error
    log.debug({ source, backup: backup.id, error }, 'no change set can stand on this backup')
    return null
  }
}
