import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store, StoredObject } from '@salvor/shared/ports/store'
import { MAX_DOCUMENT_BYTES, type Signer } from './canonical-json.ts'
import type { ArtifactIndex } from './frame-table.ts'
import { sha256 } from './hash.ts'
import { IndexInvalid, readIndex } from './index-reader.ts'
import { backupKeys, type BackupKeys, digestsKey } from './layout.ts'
import { type Manifest, parseManifest, stemOfManifest } from './manifest.ts'
import { readObject } from './read-object.ts'
import { listKeyFiles, parseWrappedKeys, unwrapDataKey } from './wrapped-keys.ts'

export interface CopyAddress {
  readonly store: Store
  readonly manifest_key: string
  /** From the catalog; null where there is none: then the manifest's signature alone speaks for it. */
  readonly manifest_sha256: string | null
  readonly keyring: KeyRing
}

/** MANIFEST_INVALID, SIGNER_UNKNOWN, or a manifest that speaks for its backup. */
export async function readManifest(
  { store, manifest_key, manifest_sha256, keyring }: CopyAddress,
  signal: AbortSignal,
): Promise<{
  readonly manifest: Manifest
  readonly signer: Signer
  readonly signed_by: string
  readonly sha256: string
}> {
  const file = await readObject(store, manifest_key, MAX_DOCUMENT_BYTES, signal)
  if (manifest_sha256 !== null && sha256(file) !== manifest_sha256) {
    const reason = 'it is not the one that the catalog recorded'
    throw new SalvorError('MANIFEST_INVALID', { key: manifest_key, reason })
  }
  return parseManifest(file, manifest_key, keyring)
}

export function artifactKeyOf(manifest: Manifest): string {
  return `${manifest.source}/${manifest.filename}`
}
export function digestsKeyOf(manifest: Manifest): string {
  return digestsKey(manifest.source, stemOfManifest(manifest), manifest.encryption !== null)
}
export function keysOf(manifest: Manifest): BackupKeys {
  return backupKeys(manifest.source, stemOfManifest(manifest))
}
export function corrupt(manifest: Manifest, key: string, reason: string, cause?: unknown): SalvorError {
  return new SalvorError('ARTIFACT_CORRUPT', { key, reason, source: manifest.source }, cause)
}

/** The artifact as the store has it: STORE_NOT_FOUND if it has none. Its size is compared by the caller. */
export async function statArtifact(manifest: Manifest, store: Store, signal: AbortSignal): Promise<StoredObject> {
  const key = artifactKeyOf(manifest)
  const found = await store.head(key, signal)
  if (!found) throw new SalvorError('STORE_NOT_FOUND', { store: store.name, key })
  return found
}

/** ARTIFACT_CORRUPT, or the index that the manifest signs for. */
export async function readArtifactIndex(manifest: Manifest, store: Store, signal: AbortSignal): Promise<ArtifactIndex> {
  const key = keysOf(manifest).index
  try {
    const artifact = { ...manifest, encrypted: manifest.encryption !== null }
    return await readIndex(store.read(key, null, signal), artifact, manifest.index_sha256, signal)
  } catch (error) {
    throw error instanceof IndexInvalid ? corrupt(manifest, key, error.message, error) : error
  }
}

/**
 * The data key from the highest key file that is good and that the ring opens, null for a plain artifact. Lower ones are tried too:
 * whoever may add files must not be able to take a backup away by adding a bad one.
 */
export async function openDataKey(
  manifest: Manifest,
  { store, keyring }: Pick<CopyAddress, 'store' | 'keyring'>,
  signal: AbortSignal,
): Promise<Buffer | null> {
  if (manifest.encryption === null) return null
  let first: unknown = null
  for (const key of await listKeyFiles(manifest, store, signal)) {
    try {
      const file = await readObject(store, key, MAX_DOCUMENT_BYTES, signal)
      return unwrapDataKey(parseWrappedKeys(file, key, manifest, keyring).body, key, manifest, keyring)
    } catch (error) {
      if (!isAboutThisFile(error)) throw error
      first ??= error
    }
  }
  throw first ?? new SalvorError('STORE_NOT_FOUND', { store: store.name, key: `${keysOf(manifest).keysPrefix}1.json` })
}

function isAboutThisFile(error: unknown): boolean {
  const codes = ['ARTIFACT_CORRUPT', 'SIGNER_UNKNOWN', 'KEY_MISSING', 'STORE_NOT_FOUND']
  return error instanceof SalvorError && codes.includes(error.code)
}
