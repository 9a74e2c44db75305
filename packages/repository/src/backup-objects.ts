import type { Store } from '@salvor/shared/ports/store'
import type { Manifest } from './manifest.ts'
import { artifactKeyOf, keysOf } from './open-backup.ts'
import { listKeyFiles } from './wrapped-keys.ts'

/**
 * Keys of every object of one backup in the order in which a copy of it is made: the manifest last, so that a copy
 * that breaks off is none. `store` is the one that has them.
 */
export async function backupObjects(
  manifest: Manifest,
  manifestKey: string,
  store: Store,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { index, recovery } = keysOf(manifest)
  const keyFiles = manifest.encryption ? await listKeyFiles(manifest, store, signal) : []
  return [artifactKeyOf(manifest), index, ...keyFiles.toReversed(), recovery, manifestKey]
}
