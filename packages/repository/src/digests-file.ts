import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { IV_BYTES } from './encrypt.ts'
import { StreamHash } from './hash.ts'
import type { Manifest } from './manifest.ts'
import { type CopyAddress, corrupt, digestsKeyOf, readManifest } from './open-backup.ts'
import { putObject } from './put-object.ts'
import { sealed, unsealed } from './sealed-stream.ts'

const PURPOSE = 'digests'
const PIECE_BYTES = 1 << 18
const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants

export interface DigestsToStore {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  readonly id: string
  readonly key: string
}

/**
 * Stores what the next incremental needs to know (docs/format.md section 11), or a patch that makes it, from a file; gives the SHA-256 of the stored bytes. A worker
 * holds no key that opens backups, so the seal is one that only holders of the signing key make and open.
 */
export async function storeDigests(to: DigestsToStore, file: string, signal: AbortSignal): Promise<string> {
  const params = { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_checksumFlag]: 1 }
  const plain = createReadStream(file, { highWaterMark: PIECE_BYTES })
  const packed = plain.compose<zlib.ZstdCompress>(zlib.createZstdCompress({ params }))
  if (!to.encrypt) return await putObject(to.store, to.key, packed, signal)
  const key = to.keyring.sealingKey(null, PURPOSE, to.id)
  if (!key) throw new SalvorError('KEYRING_INVALID', { file: 'the keyring', reason: 'it holds no private signing key' })
  const iv = randomBytes(IV_BYTES)
  try {
    return await putObject(to.store, to.key, sealed(packed, createCipheriv('aes-256-gcm', key, iv), iv), signal)
  } finally {
    key.fill(0)
  }
}

/** Brings the digests of a stored backup, as they are stored, into a new file. A file that is there when this resolves holds what its manifest signs for. */
export async function fetchStoredDigests(address: CopyAddress, file: string, signal: AbortSignal): Promise<Manifest> {
  const { manifest, signed_by } = await readManifest(address, signal)
  const encrypted = manifest.encryption !== null
  const at = digestsKeyOf(manifest)
  if (manifest.digests_sha256 === null) throw corrupt(manifest, at, 'this backup has no digests')
  const key = encrypted ? address.keyring.sealingKey(signed_by, PURPOSE, manifest.id) : null
  if (encrypted && !key) throw new SalvorError('KEY_MISSING', { key: at, wanted: signed_by })
  const hash = new StreamHash()
  const stored = hashed(address.store.read(at, null, signal), hash)
  try {
    const packed = key ? unsealed(stored, (iv) => createDecipheriv('aes-256-gcm', key, iv)) : stored
    const into = createWriteStream(file, { mode: 0o600, flags: 'wx' })
    await pipeline(packed, zlib.createZstdDecompress(), into, { signal })
  } catch (error) {
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    if (error instanceof SalvorError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC') throw new SalvorError('DISK_FULL', { what: 'the scratch folder' }, error)
    throw corrupt(manifest, at, 'it does not open', error)
  } finally {
    key?.fill(0)
  }
  if (hash.hex() !== manifest.digests_sha256) throw corrupt(manifest, at, 'its SHA-256 is not that of the manifest')
  return manifest
}

async function* hashed(chunks: AsyncIterable<Uint8Array>, hash: StreamHash): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk)
    yield Buffer.from(chunk)
  }
}
