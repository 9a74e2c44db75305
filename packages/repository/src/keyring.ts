import {
  constants,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing, Signature, WrappedKey } from '@salvor/shared/ports/keyring'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import { type KeyFile, parseKeyFile, type WrappingEntry } from './key-file.ts'

const DATA_KEY_BYTES = 32
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }

/** `configured`: the operator named this file; false for the signing key that an installation makes by itself. */
export function parseKeyring(bytes: Uint8Array, file: string, configured: boolean): KeyRing {
  return openKeyring(parseKeyFile(bytes, file), file, configured)
}

export function openKeyring(keys: KeyFile, file: string, configured: boolean): KeyRing {
  return new FileKeyRing(keys, file, configured)
}

class FileKeyRing implements KeyRing {
  readonly configured: boolean
  readonly #file: string
  readonly #wrapping: readonly WrappingEntry[]
  /** Private halves of those that were used: OpenSSL prepares each key once, which takes as long as opening with it. */
  readonly #opening = new Map<string, KeyObject>()
  readonly #signers: ReadonlyMap<string, KeyObject>
  /** Private signing keys, the retired ones too. */
  readonly #private: ReadonlyMap<string, KeyObject>
  readonly #signing: { readonly signer: string; readonly key: KeyObject } | null

  constructor(keys: KeyFile, file: string, configured: boolean) {
    this.configured = configured
    this.#file = file
    this.#wrapping = keys.wrapping
    this.#signers = new Map(keys.signing.map((entry) => [entry.key_id, createPublicKey(entry.public_key)]))
    const own = keys.signing.filter((entry) => entry.private_key !== null)
    this.#private = new Map(own.map((entry) => [entry.key_id, createPrivateKey(entry.private_key!)]))
    const signer = newest(own)?.key_id
    this.#signing = signer === undefined ? null : { signer, key: this.#private.get(signer)! }
  }

  sign(bytes: Uint8Array): Signature {
    if (!this.#signing) throw this.#invalid('it holds no private signing key')
    const { signer, key } = this.#signing
    return { signer, value: sign(null, bytes, key).toString('base64') }
  }

  check(bytes: Uint8Array, signature: Signature): 'trusted' | 'unknown' | 'bad' {
    const key = this.#signers.get(signature.signer)
    if (!key) return 'unknown'
    return verify(null, bytes, key, Buffer.from(signature.value, 'base64')) ? 'trusted' : 'bad'
  }

  sealingKey(signer: string | null, purpose: string, backupId: string): Buffer | null {
    const key = signer === null ? this.#signing?.key : this.#private.get(signer)
    if (!key) return null
    const seed = Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url')
    const derived = hkdfSync('sha256', seed, Buffer.alloc(0), `salvor ${purpose} 1 ${backupId}`, DATA_KEY_BYTES)
    seed.fill(0)
    return Buffer.from(derived)
  }

  wrap(dataKey: Uint8Array, source: string, retentionClass: RetentionClass): readonly WrappedKey[] {
    return (['operating', 'recovery'] as const).map((purpose) => {
      const entry = this.#bestFor(purpose, source, retentionClass)
      if (!entry) throw this.#invalid(`it has no ${purpose} key for ${source} (${retentionClass})`)
      const wrapped = publicEncrypt({ key: entry.public_key, ...OAEP }, dataKey).toString('base64')
      return { key_id: entry.key_id, purpose, wrapped }
    })
  }

  unwrap(wrapped: readonly WrappedKey[], what: string): Buffer {
    for (const { key_id, wrapped: value } of wrapped) {
      const entry = this.#wrapping.find((entry) => entry.key_id === key_id && entry.private_key !== null)
      const dataKey = entry && opened(() => this.#privateOf(entry), value)
      if (dataKey) return dataKey
    }
    throw new SalvorError('KEY_MISSING', { key: what, wanted: wrapped.map(({ key_id }) => key_id).join(', ') })
  }

  #privateOf({ key_id, private_key }: WrappingEntry): KeyObject {
    const known = this.#opening.get(key_id) ?? createPrivateKey(private_key!)
    this.#opening.set(key_id, known)
    return known
  }

  #bestFor(purpose: WrappedKey['purpose'], source: string, retentionClass: RetentionClass): WrappingEntry | null {
    const fitting = this.#wrapping.filter((entry) => entry.purpose === purpose)
    const ranked = fitting.map((entry) => ({ entry, rank: rankOf(entry, source, retentionClass) }))
    const best = Math.max(...ranked.map(({ rank }) => rank))
    return best < 0 ? null : newest(ranked.filter(({ rank }) => rank === best).map(({ entry }) => entry))
  }

  #invalid(reason: string): SalvorError {
    return new SalvorError('KEYRING_INVALID', { file: this.#file, reason })
  }
}

/** How specific an entry is for a source and class; below 0: not for it. */
function rankOf(entry: WrappingEntry, source: string, retentionClass: RetentionClass): number {
  if (entry.retention_class !== '*' && entry.retention_class !== retentionClass) return -1
  const byClass = entry.retention_class === '*' ? 0 : 1
  if (entry.source === source) return 4 + byClass
  if (source.startsWith(`${entry.source}/`)) return 2 + byClass
  return entry.source === '*' ? byClass : -1
}

function newest<T extends { readonly created_at: string }>(entries: readonly T[]): T | null {
  return entries.reduce<T | null>((best, entry) => (best && best.created_at >= entry.created_at ? best : entry), null)
}

/** A wrapped key that does not open is passed over: another of the list may. */
function opened(privateKey: () => KeyObject, wrapped: string): Buffer | null {
  try {
    const dataKey = privateDecrypt({ key: privateKey(), ...OAEP }, Buffer.from(wrapped, 'base64'))
    return dataKey.length === DATA_KEY_BYTES ? dataKey : null
  } catch {
    return null
  }
}
