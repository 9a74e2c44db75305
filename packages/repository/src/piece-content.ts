import { createHash, createHmac, randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { Base64 } from './canonical-json.ts'
import { IV_BYTES, keyCommitment, newDataKey, SegmentCipher } from './encrypt.ts'
import { FRAME_BYTES, MAX_FRAME_BYTES, storedBound } from './frames.ts'
import { freeBuffer } from './free-buffer.ts'
import { sha256 } from './hash.ts'
import { Sha256 } from './manifest.ts'
import { finishObject } from './put-object.ts'

const compress = promisify(zlib.zstdCompress)
/** Frames of a piece that are compressed side by side, by threads of the process. */
const AT_ONCE = Math.min(4, Math.max(2, availableParallelism()))
/** Pieces above this get the largest frames, so that their list stays small. */
const LARGE_PIECE = 256 << 20
/** Pieces up to this, the set of a second, get frames that the loop compresses by itself, in half a millisecond each: threads double the cost. */
const SMALL_PIECE = 4 << 20
const SMALL_FRAME_BYTES = 512 << 10
const MAX_FRAMES = 512
/** Plain bytes of one piece at most. */
export const MAX_PIECE_BYTES: number = MAX_FRAMES * MAX_FRAME_BYTES
const bytes = z.int().min(0)

/** The members of a signed document that describe its content, in their order: a piece of WAL or a change set is one object and its document. */
export const PIECE_CONTENT = {
  size_bytes: bytes,
  source_bytes: bytes,
  checksum_sha256: Sha256,
  content_mac: Sha256,
  compression: z.strictObject({ algorithm: z.literal('zstd'), level: z.int().min(1).max(19) }),
  frame_bytes: z.int().min(1).max(MAX_FRAME_BYTES),
  frames: z
    .array(z.strictObject({ bytes: z.int().min(1), sha256: Sha256 }))
    .min(1)
    .max(MAX_FRAMES),
  encryption: z
    .strictObject({
      algorithm: z.literal('aes-256-gcm'),
      key_commitment: Sha256,
      key_wrap: z.literal('rsa-oaep-sha256'),
      iv: z.string().regex(/^[0-9a-f]{24}$/),
      tag: z.string().regex(/^[0-9a-f]{32}$/),
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
    .nullable(),
}
const PieceContent = z.object(PIECE_CONTENT)
export type PieceContent = z.infer<typeof PieceContent>

/** Null: its numbers fit each other. */
export function contentFault({ source_bytes, size_bytes, frame_bytes, frames }: PieceContent): string | null {
  const stored = frames.reduce((sum, frame) => sum + frame.bytes, 0)
  const whole = frames.length === Math.max(1, Math.ceil(source_bytes / frame_bytes)) && stored === size_bytes
  const bounded = frames.every((frame) => frame.bytes <= storedBound(frame_bytes))
  return whole && bounded ? null : 'its numbers contradict each other'
}

export interface ContentRequest {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  readonly level: number
  readonly source: string
  /** Of the piece: its key is bound to it. */
  readonly id: string
  /** What the key of `content_mac` is derived for. */
  readonly mac_purpose: string
  /** The plain bytes, from the beginning each time it is called. */
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** For tests. */
  readonly frame_bytes?: number | undefined
}

/** Frames of a piece that will have about so many plain bytes. */
export function frameBytesFor(plainBytes: number): number {
  if (plainBytes <= SMALL_PIECE) return SMALL_FRAME_BYTES
  return plainBytes > LARGE_PIECE ? MAX_FRAME_BYTES : FRAME_BYTES
}

/** Writes the content of one piece under `key`; durable when it resolves. STORE_CONFLICT: other bytes lie there. */
export async function writeContent(request: ContentRequest, key: string, signal: AbortSignal): Promise<PieceContent> {
  const { store, keyring, source, id, level, frame_bytes = FRAME_BYTES } = request
  const dataKey = request.encrypt ? newDataKey() : null
  const iv = randomBytes(IV_BYTES)
  const cipher = dataKey && new SegmentCipher(dataKey, iv)
  const writer = await store.create(key, { hashed: true }, signal)
  try {
    const mac = createHmac('sha256', macKey(request))
    const hash = createHash('sha256')
    const frames: PieceContent['frames'] = []
    let source_bytes = 0
    let size_bytes = 0
    for await (const frame of compressed(request.content(), frame_bytes, level)) {
      mac.update(frame.plain)
      source_bytes += frame.plain.length
      const { stored } = frame
      cipher?.encrypt(stored)
      hash.update(stored)
      size_bytes += stored.length
      // What is hashed so far is the first frame, and most pieces have no other.
      frames.push({ bytes: stored.length, sha256: frames.length === 0 ? hash.copy().digest('hex') : sha256(stored) })
      await writer.write(stored)
    }
    const tag = cipher?.tag()
    const checksum_sha256 = hash.digest('hex')
    await finishObject(store, writer, size_bytes, checksum_sha256)
    return {
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
        tag: tag!.toString('hex'),
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

function macKey({ keyring, mac_purpose, source }: ContentRequest): Buffer {
  const key = keyring.sealingKey(null, mac_purpose, source)
  if (!key) throw new SalvorError('KEYRING_INVALID', { file: 'the keyring', reason: 'it holds no private signing key' })
  return key
}

/** Whether this content is what a stored piece holds, without opening it; signer null: our own. Null: another key made its mac, so nobody can tell. */
export async function isSameContent(
  content: ContentRequest['content'],
  stored: { readonly content_mac: string; readonly signer: string | null },
  about: Pick<ContentRequest, 'keyring' | 'mac_purpose' | 'source'>,
): Promise<boolean | null> {
  const key = about.keyring.sealingKey(stored.signer, about.mac_purpose, about.source)
  if (!key) return null
  const mac = createHmac('sha256', key)
  for await (const chunk of content()) mac.update(chunk)
  return mac.digest('hex') === stored.content_mac
}

interface Frame {
  readonly plain: Buffer
  readonly stored: Buffer
}

/** Frames in order, large ones compressed ahead by threads; empty content is one frame. The bytes of one are others' once the next is asked for. */
async function* compressed(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  frameBytes: number,
  level: number,
): AsyncGenerator<Frame> {
  const ahead: Promise<Frame>[] = []
  const start = (plain: Buffer): void => {
    const work = compress(plain, optionsFor(plain, level)).then((stored) => ({ plain, stored }))
    work.catch(() => undefined)
    ahead.push(work)
  }
  let any = false
  for await (const plain of framesOf(content, frameBytes)) {
    any = true
    if (frameBytes <= SMALL_FRAME_BYTES) yield* used(compressedHere(plain, level))
    else {
      start(plain)
      if (ahead.length >= AT_ONCE) yield* used(await ahead.shift()!)
    }
  }
  if (!any) yield compressedHere(Buffer.alloc(0), level)
  for (const work of ahead) yield* used(await work)
}

function compressedHere(plain: Buffer, level: number): Frame {
  return { plain, stored: zlib.zstdCompressSync(plain, optionsFor(plain, level)) }
}

/** Room for all of it, so that there is one round. */
function optionsFor(plain: Buffer, level: number): zlib.ZstdOptions {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants
  const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 }
  return { params, chunkSize: storedBound(plain.length) }
}

/** Buffers that serve again, whichever piece they served: dead ones are what makes Node collect the garbage of its whole heap. */
const free = new Map<number, Buffer[]>([
  [SMALL_FRAME_BYTES, []],
  [FRAME_BYTES, []],
])
const MOST_FREE = 2 * AT_ONCE

function take(bytes: number): Buffer {
  return free.get(bytes)?.pop() ?? Buffer.allocUnsafeSlow(bytes)
}

function* used(frame: Frame): Generator<Frame> {
  yield frame
  freeBuffer(frame.stored)
  const { buffer } = frame.plain
  const others = free.get(buffer.byteLength)
  if (others !== undefined && others.length < MOST_FREE) others.push(Buffer.from(buffer))
}

async function* framesOf(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  frameBytes: number,
): AsyncGenerator<Buffer> {
  let frame: Buffer | null = null
  let filled = 0
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      frame ??= take(frameBytes)
      const part = chunk.subarray(at, at + frameBytes - filled)
      frame.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < frameBytes) continue
      yield frame
      frame = null
      filled = 0
    }
  }
  if (frame !== null) yield frame.subarray(0, filled)
}
