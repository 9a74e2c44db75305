import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { WalFile, WalPiece } from '@salvor/shared/vocabulary/wal'
import { sha256 } from './hash.ts'
import { IV_BYTES, keyCommitment, newDataKey } from './encrypt.ts'
import { FRAME_BYTES, MAX_FRAME_BYTES } from './frames.ts'
import { finishObject, putObject } from './put-object.ts'
import { readWalDocument } from './read-wal.ts'
import { serializeWalDocument, type WalDocument, walFileOf } from './wal-document.ts'
import { WAL_NAMES, walContentKey, walDocumentKey, walFilename } from './wal-layout.ts'

const compress = promisify(zlib.zstdCompress)
/** Frames that are compressed side by side, by threads of the process. */
const AT_ONCE = 4
/** Segments above this get the largest frames, so that their list stays small. */
const LARGE_SEGMENT = 256 << 20

export type UnfinishedWal = Map<string, WalDocument>

export interface WalRequest {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  /** Plain WAL may lie in a store that is not on this machine's disks. */
  readonly allowPlain: boolean
  readonly level: number
  readonly source: string
  readonly id: string
  readonly timestamp: Instant
  readonly tool_version: string
  readonly piece: WalPiece
  /** The plain bytes, from the beginning each time it is called. */
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /**
   * Documents by name whose content is stored while they are not: kept by the caller from one try to the next, so that a store that
   * refuses documents is not filled with content that nobody can open.
   */
  readonly unfinished?: UnfinishedWal
  /** For tests. */
  readonly frame_bytes?: number
}

/**
 * Stores one piece of WAL: content first, then its document. A piece of that name with the same content: its row, nothing
 * written. With other content: WAL_CONFLICT. Resolves only when both objects are durable and read back.
 */
export async function writeWal(request: WalRequest, signal: AbortSignal): Promise<WalFile> {
  const { store, encrypt, allowPlain, source, piece } = request
  if (!encrypt && store.capabilities.remote && !allowPlain) {
    throw new SalvorError('STORE_REFUSES_PLAIN', { store: store.name, source })
  }
  const begun = await unfinishedOf(request)
  for (let attempt = 1; attempt <= WAL_NAMES; attempt++) {
    const filename = walFilename(piece.name, attempt, encrypt)
    // The first name is nearly always free.
    if (attempt > 1 && (await store.head(walContentKey(source, piece.name, filename), signal))) continue
    try {
      const document = (attempt === 1 && begun) || (await writeContent(request, filename, signal))
      return await putDocument(request, document, signal)
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'STORE_CONFLICT') throw error
      const there = await sameAsStored(request, signal)
      if (there) return there
    }
  }
  throw new SalvorError('STORE_CONFLICT', { store: store.name, key: walDocumentKey(source, piece.name) })
}

/** Without it there is no such piece. */
async function putDocument(request: WalRequest, document: WalDocument, signal: AbortSignal): Promise<WalFile> {
  const { store, keyring, source, unfinished } = request
  unfinished?.set(document.name, document)
  const bytes = serializeWalDocument(document, keyring)
  const sha = await putObject(store, walDocumentKey(source, document.name), [bytes], signal)
  unfinished?.delete(document.name)
  return walFileOf(document, sha)
}

/** The document of an earlier try with these very bytes. */
async function unfinishedOf(request: WalRequest): Promise<WalDocument | null> {
  const { unfinished, piece, keyring, source, content } = request
  const document = unfinished?.get(piece.name)
  if (!document) return null
  const mac = createHmac('sha256', macKey(keyring, source))
  for await (const chunk of content()) mac.update(chunk)
  return mac.digest('hex') === document.content_mac && document.system_id === piece.system_id ? document : null
}

/** The row of what is stored under this name, if its content is the one at hand; null: nothing is. */
export async function sameAsStored(
  request: Pick<WalRequest, 'store' | 'keyring' | 'source' | 'piece' | 'content'>,
  signal: AbortSignal,
): Promise<WalFile | null> {
  const { store, keyring, source, piece } = request
  const found = await readWalDocument({ store, keyring, source, name: piece.name }, signal)
  if (found === null) return null
  const conflict = (why: string) =>
    new SalvorError('WAL_CONFLICT', { source, name: piece.name, store: store.name, why })
  const key = keyring.sealingKey(found.signature.signer, 'wal content', source)
  if (!key) throw conflict('it was signed by a key that this keyring lacks, so they cannot be compared')
  if (found.body.system_id !== null && piece.system_id !== null && found.body.system_id !== piece.system_id)
    throw conflict('it is of another cluster (system identifier)')
  const mac = createHmac('sha256', key)
  for await (const chunk of request.content()) mac.update(chunk)
  if (mac.digest('hex') !== found.body.content_mac) throw conflict('their bytes differ')
  return walFileOf(found.body, found.sha256)
}

async function writeContent(request: WalRequest, filename: string, signal: AbortSignal): Promise<WalDocument> {
  const { store, keyring, source, piece, id, timestamp, level } = request
  const dataKey = request.encrypt ? newDataKey() : null
  const iv = randomBytes(IV_BYTES)
  const cipher = dataKey && createCipheriv('aes-256-gcm', dataKey, iv)
  const frame_bytes = request.frame_bytes ?? ((piece.segment_size ?? 0) > LARGE_SEGMENT ? MAX_FRAME_BYTES : FRAME_BYTES)
  const writer = await store.create(walContentKey(source, piece.name, filename), {}, signal)
  try {
    const mac = createHmac('sha256', macKey(keyring, source))
    const hash = createHash('sha256')
    const frames: WalDocument['frames'] = []
    let source_bytes = 0
    let size_bytes = 0
    for await (const frame of compressed(request.content(), frame_bytes, level)) {
      mac.update(frame.plain)
      source_bytes += frame.plain.length
      const stored = cipher ? cipher.update(frame.stored) : frame.stored
      hash.update(stored)
      size_bytes += stored.length
      frames.push({ bytes: stored.length, sha256: sha256(stored) })
      await writer.write(stored)
    }
    cipher?.final()
    const checksum_sha256 = hash.digest('hex')
    await finishObject(store, writer, size_bytes, checksum_sha256)
    return {
      format_version: 1,
      tool: { name: 'salvor', version: request.tool_version },
      id,
      source,
      ...piece,
      restore_points: [...piece.restore_points],
      timestamp,
      filename,
      size_bytes,
      source_bytes,
      checksum_sha256,
      content_mac: mac.digest('hex'),
      compression: { algorithm: 'zstd', level },
      frame_bytes,
      frames,
      encryption: dataKey && {
        algorithm: 'aes-256-gcm',
        key_commitment: keyCommitment(dataKey, id),
        key_wrap: 'rsa-oaep-sha256',
        iv: iv.toString('hex'),
        tag: cipher!.getAuthTag().toString('hex'),
        wrapped: [...keyring.wrap(dataKey, source, 'full')],
      },
    }
  } catch (error) {
    await writer.abort()
    throw error
  } finally {
    dataKey?.fill(0)
  }
}

function macKey(keyring: KeyRing, source: string): Buffer {
  const key = keyring.sealingKey(null, 'wal content', source)
  if (!key) throw new SalvorError('KEYRING_INVALID', { file: 'the keyring', reason: 'it holds no private signing key' })
  return key
}

interface Frame {
  readonly plain: Buffer
  readonly stored: Buffer
}

/** Frames in order, several compressed ahead; empty content is one frame. */
async function* compressed(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  frameBytes: number,
  level: number,
): AsyncGenerator<Frame> {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants
  const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 }
  const ahead: Promise<Frame>[] = []
  const start = (plain: Buffer): void => {
    const work = compress(plain, { params }).then((stored) => ({ plain, stored }))
    work.catch(() => undefined)
    ahead.push(work)
  }
  let any = false
  for await (const plain of framesOf(content, frameBytes)) {
    any = true
    start(plain)
    if (ahead.length >= AT_ONCE) yield await ahead.shift()!
  }
  if (!any) start(Buffer.alloc(0))
  for (const work of ahead) yield await work
}

async function* framesOf(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  frameBytes: number,
): AsyncGenerator<Buffer> {
  let frame = Buffer.allocUnsafe(frameBytes)
  let filled = 0
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + frameBytes - filled)
      frame.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < frameBytes) continue
      yield frame
      frame = Buffer.allocUnsafe(frameBytes)
      filled = 0
    }
  }
  if (filled > 0) yield frame.subarray(0, filled)
}
