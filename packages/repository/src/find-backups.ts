import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { Backup } from '@salvor/shared/vocabulary/backup'
import { parseManifestKey } from './layout.ts'
import { backupOf } from './manifest.ts'
import { artifactKeyOf, corrupt, readManifest, statArtifact } from './open-backup.ts'

export type Found =
  | { readonly key: string; readonly backup: Backup; readonly artifact_key: string; readonly error: null }
  | { readonly key: string; readonly backup: null; readonly error: SalvorError }

/**
 * Every backup that a store holds, by its manifests alone, ascending by key: signature and canonical form checked, the artifact
 * there in its full size. One that cannot be trusted is given as an error and hides no other. Throws only when the store itself
 * cannot be read.
 */
export async function* findBackups(store: Store, keyring: KeyRing, signal: AbortSignal): AsyncGenerator<Found> {
  for await (const { key } of store.list('', signal)) {
    if (parseManifestKey(key) !== null) yield await lookAt(store, key, keyring, signal)
  }
}

async function lookAt(store: Store, key: string, keyring: KeyRing, signal: AbortSignal): Promise<Found> {
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
