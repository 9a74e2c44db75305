import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import { readDocument, type Signed, signDocument } from './canonical-json.ts'
import { claimKey } from './layout.ts'
import { InstantText, SourceName } from './manifest.ts'

/** Which catalog writes a source, docs/format.md section 8. Write-once per epoch; the highest epoch holds. */
export const Claim = z.strictObject({
  format_version: z.literal(1),
  catalog_id: z.string().min(1).max(128),
  epoch: z.int().min(0),
  source: SourceName,
  since: InstantText,
})
export type Claim = z.infer<typeof Claim>

export function serializeClaim(claim: Claim, keyring: KeyRing): Buffer {
  return signDocument(Claim, claim, keyring)
}

/** ARTIFACT_CORRUPT when the file is not what lies at `key`. */
export function parseClaim(file: Uint8Array, key: string, keyring: KeyRing): Signed<Claim> {
  const signed = readDocument(Claim, file, key, keyring, 'ARTIFACT_CORRUPT')
  const { source, epoch } = signed.body
  if (claimKey(source, epoch) !== key)
    throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: 'it is the claim of another source or epoch', source })
  return signed
}
