import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { type KeyFile, keyIdOf, type WrappingEntry } from './key-file.ts'

export interface KeyScope {
  readonly source: string
  readonly retention_class: RetentionClass | '*'
}
const EVERYTHING: KeyScope = { source: '*', retention_class: '*' }

/**
 * A first set of keys for everything: signing, operating, recovery. `recovery` is the private half of the recovery pair as
 * PEM: it is in no file of the installation, and without it or the operating key no backup opens. Takes a second or two.
 */
export function createKeys(now: Instant): { readonly keyring: KeyFile; readonly recovery: string } {
  const pair = createWrappingPair(now, EVERYTHING)
  const { signing } = createSigningKey(now)
  return { keyring: { format: 'salvor-keys', version: 1, signing, wrapping: pair.entries }, recovery: pair.recovery }
}

/** A ring that only signs: for an installation without a keyring, whose backups are plain. */
export function createSigningKey(now: Instant): KeyFile {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const entry = { key_id: keyIdOf(publicKey), created_at: now, public_key: publicPem(publicKey) }
  const signing = [{ ...entry, private_key: privatePem(privateKey) }]
  return { format: 'salvor-keys', version: 1, signing, wrapping: [] }
}

/** A further operating and recovery pair, for a rotation or for one source and retention class. */
export function createWrappingPair(
  now: Instant,
  scope: KeyScope,
): { readonly entries: WrappingEntry[]; readonly recovery: string } {
  const operating = generateKeyPairSync('rsa', { modulusLength: 3072 })
  const recovery = generateKeyPairSync('rsa', { modulusLength: 3072 })
  const entries: WrappingEntry[] = [
    wrappingEntry('operating', now, scope, operating.publicKey, operating.privateKey),
    wrappingEntry('recovery', now, scope, recovery.publicKey, null),
  ]
  return { entries, recovery: privatePem(recovery.privateKey) }
}

function wrappingEntry(
  purpose: WrappingEntry['purpose'],
  now: Instant,
  { source, retention_class }: KeyScope,
  publicKey: KeyObject,
  privateKey: KeyObject | null,
): WrappingEntry {
  const key_id = keyIdOf(publicKey)
  const halves = { public_key: publicPem(publicKey), private_key: privateKey && privatePem(privateKey) }
  return { key_id, purpose, source, retention_class, created_at: now, ...halves }
}

function publicPem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }) as string
}
function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}
