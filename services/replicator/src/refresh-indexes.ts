import { storeIndexBytes } from '@salvor/repository/store-index'
import type { Deps } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Arrival } from './replicate.ts'

/** The readable index names the newest backups of a store; the rest are found by their manifests. */
const INDEXED = 100_000

/**
 * Writes the readable `manifest.json` of each local store that just got this backup. It is a convenience that anyone can
 * rebuild: a failure is logged and the next backup writes it anew.
 */
export async function refreshIndexes(
  deps: Deps,
  backup: BackupWithCopies,
  arrived: readonly Arrival[],
  signal: AbortSignal,
): Promise<void> {
  const held = backup.copies.filter((copy) => copy.state !== 'pending').map((copy) => copy.store)
  for (const name of new Set([...held, ...arrived.map(({ store }) => store)])) {
    const store = deps.store(name)
    if (!store.capabilities.replace) continue
    try {
      const all = await deps.catalog.backups({ limit: INDEXED })
      const here = all.filter((one) => one.copies.some((copy) => copy.store === name && copy.state !== 'pending'))
      await store.replace('manifest.json', storeIndexBytes(here), signal)
    } catch (error) {
      deps.log.warn({ store: name, err: error }, 'the readable index of a local store could not be written')
    }
  }
}
