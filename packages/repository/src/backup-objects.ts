import type { Store } from '@salvor/shared/ports/store'
import type { Manifest } from './manifest.ts'
import { artifactKeyOf, digestsKeyOf, keysOf } from './open-backup.ts'
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
  const { index, recovery, recoverScript } = keysOf(manifest)
  const keyFiles = manifest.encryption ? await listKeyFiles(manifest, store, signal) : []
  const digests = manifest.digests_sha256 === null ? [] : [digestsKeyOf(manifest)]
  const script = manifest.type === 'incremental' ? [recoverScript] : []
  return [artifactKeyOf(manifest), index, ...keyFiles.toReversed(), ...digests, ...script, recovery, manifestKey]
}
