import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { Backup } from '@salvor/shared/vocabulary/backup'
import { backupOf } from './manifest.ts'
import { artifactKeyOf, corrupt, readManifest, statArtifact } from './open-backup.ts'

export type FoundBackup =
  | { readonly key: string; readonly backup: Backup; readonly artifact_key: string; readonly error: null }
  | { readonly key: string; readonly backup: null; readonly error: SalvorError }

/** A backup by its manifest alone: signature and canonical form checked, the artifact there in its full size. Throws what is not about this one. */
export async function lookAtBackup(
  store: Store,
  key: string,
  keyring: KeyRing,
  signal: AbortSignal,
): Promise<FoundBackup> {
  try {
    const address = { store, manifest_key: key, manifest_sha256: null, keyring }
    const { manifest, sha256 } = await readManifest(address, signal)
    const artifact_key = artifactKeyOf(manifest)
    const { size } = await statArtifact(manifest, store, signal)
    if (size !== manifest.size_bytes) throw corrupt(manifest, artifact_key, 'its size is not that of the manifest')
    return { key, backup: backupOf(manifest, sha256), artifact_key, error: null }
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (signal.aborted || !ABOUT_ONE.has(error.code)) throw error
    return { key, backup: null, error }
  }
}

const ABOUT_ONE: ReadonlySet<string> = new Set([
  'MANIFEST_INVALID',
  'SIGNER_UNKNOWN',
  'ARTIFACT_CORRUPT',
  'STORE_NOT_FOUND',
  'STORE_TRUNCATED',
])
