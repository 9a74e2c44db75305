import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { RETENTION_CLASSES } from '@salvor/shared/vocabulary/backup'
import { sha256 } from './hash.ts'
import { InstantText, SourceName } from './manifest.ts'

const MAX_KEY_FILE_BYTES = 4 << 20
const MIN_RSA_BITS = 3072
const KeyId = z.string().regex(/^[0-9a-f]{16}$/)
const Pem = z.string().max(16_384)

const SigningEntry = z.strictObject({
  key_id: KeyId,
  created_at: InstantText,
  public_key: Pem,
  private_key: Pem.nullable(),
})
const WrappingEntry = z.strictObject({
  key_id: KeyId,
  purpose: z.enum(['operating', 'recovery']),
  source: z.union([z.literal('*'), SourceName]),
  retention_class: z.union([z.literal('*'), z.enum(RETENTION_CLASSES)]),
  created_at: InstantText,
  public_key: Pem,
  private_key: Pem.nullable(),
})

/** `salvor-keys.json`, docs/format.md section 10. The mode of the file (0600) is the business of who writes it. */
export const KeyFile = z.strictObject({
  format: z.literal('salvor-keys'),
  version: z.literal(1),
  signing: z.array(SigningEntry).max(10_000),
  wrapping: z.array(WrappingEntry).max(10_000),
})
export type KeyFile = z.infer<typeof KeyFile>
export type WrappingEntry = z.infer<typeof WrappingEntry>

/** First 16 hex digits of the SHA-256 of the public half as DER SubjectPublicKeyInfo. */
export function keyIdOf(publicKey: KeyObject): string {
  return sha256(publicKey.export({ type: 'spki', format: 'der' })).slice(0, 16)
}

/** KEYRING_INVALID names `file` and what is wrong, never a part of a key. */
export function parseKeyFile(bytes: Uint8Array, file: string): KeyFile {
  const invalid = (reason: string) => new SalvorError('KEYRING_INVALID', { file, reason })
  if (bytes.length > MAX_KEY_FILE_BYTES) throw invalid('it is too large')
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    // Without the cause: a parser's message quotes the text, which may be a key.
    throw invalid('it is not JSON')
  }
  const parsed = KeyFile.safeParse(json)
  if (!parsed.success) throw invalid(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.code}`)
  for (const entry of parsed.data.signing) checkEntry(entry, 'ed25519', invalid)
  for (const entry of parsed.data.wrapping) checkEntry(entry, 'rsa', invalid)
  return parsed.data
}

/** A private recovery key in PEM, as `keys create` wrote it, as a ring that opens and does nothing else. */
export function recoveryKeyFile(pem: string, file: string): KeyFile {
  let publicKey: KeyObject
  try {
    publicKey = createPublicKey(createPrivateKey(pem))
  } catch {
    // Without the cause: it may quote the key.
    throw new SalvorError('KEYRING_INVALID', { file, reason: 'it is no private key in PEM' })
  }
  const entry: WrappingEntry = {
    key_id: keyIdOf(publicKey),
    purpose: 'recovery',
    source: '*',
    retention_class: '*',
    created_at: '1970-01-01T00:00:00.000000Z',
    public_key: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    private_key: pem,
  }
  return { format: 'salvor-keys', version: 1, signing: [], wrapping: [entry] }
}

export function serializeKeyFile(keys: KeyFile): Buffer {
  return Buffer.from(`${JSON.stringify(keys, null, 2)}\n`)
}

/**
 * What a worker may hold: it signs and wraps, and opens nothing. `signing: false` also drops the private signing halves,
 * for machines that only read.
 */
export function publicOnly(keys: KeyFile, options: { readonly signing: boolean } = { signing: true }): KeyFile {
  const without = <T extends { private_key: string | null }>(entry: T): T => ({ ...entry, private_key: null })
  return {
    ...keys,
    signing: options.signing ? keys.signing : keys.signing.map(without),
    wrapping: keys.wrapping.map(without),
  }
}

export interface KeyListing {
  readonly key_id: string
  readonly purpose: 'signing' | 'operating' | 'recovery'
  readonly source: string
  readonly retention_class: string
  readonly created_at: string
  readonly private: boolean
}

/** Every entry without its key material, oldest first. */
export function listKeys(keys: KeyFile): readonly KeyListing[] {
  const signing = keys.signing.map((key) => ({
    ...key,
    purpose: 'signing' as const,
    source: '*',
    retention_class: '*',
  }))
  return [...signing, ...keys.wrapping]
    .map(({ key_id, purpose, source, retention_class, created_at, private_key }) => {
      return { key_id, purpose, source, retention_class, created_at, private: private_key !== null }
    })
    .sort((a, b) => (a.created_at === b.created_at ? 0 : a.created_at < b.created_at ? -1 : 1))
}

function checkEntry(
  entry: { key_id: string; public_key: string; private_key: string | null },
  type: 'ed25519' | 'rsa',
  invalid: (reason: string) => SalvorError,
): void {
  let publicKey: KeyObject
  let derived: KeyObject | null
  try {
    publicKey = createPublicKey(entry.public_key)
    derived = entry.private_key === null ? null : createPublicKey(createPrivateKey(entry.private_key))
  } catch {
    throw invalid(`key ${entry.key_id} cannot be read`)
  }
  if (publicKey.asymmetricKeyType !== type) throw invalid(`key ${entry.key_id} is not of type ${type}`)
  if (type === 'rsa' && (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS)
    throw invalid(`key ${entry.key_id} has fewer than ${MIN_RSA_BITS} bits`)
  if (keyIdOf(publicKey) !== entry.key_id) throw invalid(`key ${entry.key_id} has another id`)
  if (derived && keyIdOf(derived) !== entry.key_id) throw invalid(`the halves of key ${entry.key_id} differ`)
}
