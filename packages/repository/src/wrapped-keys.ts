import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { RETENTION_CLASSES } from '@salvor/shared/vocabulary/backup'
import { Base64, readDocument, type Signed, signDocument } from './canonical-json.ts'
import { commitsTo } from './encrypt.ts'
import { backupKeys } from './layout.ts'
import { type Manifest, Sha256, SourceName, stemOfManifest } from './manifest.ts'

/** `<stem>.keys.<n>.json`, docs/format.md section 5, without `signature`. */
export const WrappedKeys = z.strictObject({
  format_version: z.literal(1),
  id: z.uuid(),
  source: SourceName,
  retention_class: z.enum(RETENTION_CLASSES),
  number: z.int().min(1),
  key_commitment: Sha256,
  wrapped: z
    .array(
      z.strictObject({
        key_id: z.string().regex(/^[0-9a-f]{16}$/),
        purpose: z.enum(['operating', 'recovery']),
        wrapped: Base64,
      }),
    )
    .min(1)
    .max(32),
})
export type WrappedKeys = z.infer<typeof WrappedKeys>

export function serializeWrappedKeys(keys: WrappedKeys, keyring: KeyRing): Buffer {
  return signDocument(WrappedKeys, keys, keyring)
}

/** A key file of this very backup, or ARTIFACT_CORRUPT (SIGNER_UNKNOWN) naming the file. */
export function parseWrappedKeys(
  file: Uint8Array,
  key: string,
  manifest: Manifest,
  keyring: KeyRing,
): Signed<WrappedKeys> {
  const signed = readDocument(WrappedKeys, file, key, keyring, 'ARTIFACT_CORRUPT')
  const { id, source, number, key_commitment } = signed.body
  const fits =
    id === manifest.id && source === manifest.source && key_commitment === manifest.encryption?.key_commitment
  if (!fits || !key.endsWith(`.keys.${number}.json`))
    throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: 'it belongs to another backup', source: manifest.source })
  return signed
}

/** Keys of the key files of a backup, highest number first. */
export async function listKeyFiles(manifest: Manifest, store: Store, signal: AbortSignal): Promise<string[]> {
  const prefix = backupKeys(manifest.source, stemOfManifest(manifest)).keysPrefix
  const found: { key: string; number: number }[] = []
  for await (const { key } of store.list(prefix, signal)) {
    const digits = /^([1-9]\d{0,8})\.json$/.exec(key.slice(prefix.length))
    if (digits) found.push({ key, number: Number(digits[1]) })
  }
  return found.sort((a, b) => b.number - a.number).map(({ key }) => key)
}

/** The data key of a backup, compared with the manifest's commitment. KEY_MISSING: the ring cannot open it. Zero it after use. */
export function unwrapDataKey(keys: WrappedKeys, key: string, manifest: Manifest, keyring: KeyRing): Buffer {
  const dataKey = keyring.unwrap(keys.wrapped, key)
  if (commitsTo(dataKey, manifest.id, manifest.encryption!.key_commitment)) return dataKey
  dataKey.fill(0)
  throw new SalvorError('ARTIFACT_CORRUPT', {
    key,
    reason: 'its key is not that of the manifest',
    source: manifest.source,
  })
}
