import type { RetentionClass } from '../vocabulary/backup.ts'

export interface Signature {
  readonly signer: string
  /** Ed25519 over the raw bytes, base64. */
  readonly value: string
}

export interface WrappedKey {
  readonly key_id: string
  readonly purpose: 'operating' | 'recovery'
  /** RSA-OAEP-3072/SHA-256 of the 32-byte data key, base64: `openssl pkeyutl` opens it. */
  readonly wrapped: string
}

/** Keys of this installation. A worker's keyring holds public wrapping keys only. */
export interface KeyRing {
  /** True where the operator configured a keyring: then unknown signers are refused and artifacts are encrypted. */
  readonly configured: boolean
  sign(bytes: Uint8Array): Signature
  /** trusted: signed by a key of this ring · unknown: a signer the ring does not know · bad: the bytes are not what was signed. */
  check(bytes: Uint8Array, signature: Signature): 'trusted' | 'unknown' | 'bad'
  /**
   * A secret of 32 bytes that every holder of the private half of `signer` (null: of the key that signs now) derives for one
   * purpose and backup: what workers keep from others, but read again themselves. Null: this ring lacks that private half.
   */
  sealingKey(signer: string | null, purpose: string, backupId: string): Buffer | null
  /** Wraps a data key for the operating and the recovery key of this source and class (the most specific pair). */
  wrap(dataKey: Uint8Array, source: string, retentionClass: RetentionClass): readonly WrappedKey[]
  /** Opens the first wrapped key for which the ring has the private half. None: KEY_MISSING. */
  unwrap(wrapped: readonly WrappedKey[], what: string): Buffer
}
