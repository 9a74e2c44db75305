import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'

/** Plain bytes of every frame but the last. */
export const FRAME_BYTES = 1 << 20
export const MAX_FRAME_BYTES = 4 << 20
/** Stored bytes of a segment, far below the 64 GiB that GCM allows for one message. */
export const MAX_SEGMENT_BYTES = 1 << 30

/** The most that a frame of so many plain bytes can take when stored; data that do not shrink grow by far less. */
export function storedBound(plainBytes: number): number {
  return plainBytes + 65_536
}

const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag, ZSTD_d_windowLogMax } = zlib.constants
const ZSTD_LIMITS = { [ZSTD_d_windowLogMax]: 23 }
const zstdDecompress = promisify(zlib.zstdDecompress)

/**
 * One frame, opened by `zstd -d` or `gzip -d`. One-shot and single-threaded on purpose: in Node 24 zstd streams with
 * workers lose data, and streams are twice as slow.
 */
export function compressFrame(plain: Uint8Array, choice: CompressionChoice): Buffer {
  const chunkSize = storedBound(plain.length)
  if (choice.algorithm === 'gzip') return zlib.gzipSync(plain, { level: Math.min(choice.level, 9), chunkSize })
  const params = { [ZSTD_c_compressionLevel]: choice.level, [ZSTD_c_checksumFlag]: 1 }
  return zlib.zstdCompressSync(plain, { chunkSize, params })
}

/** The plain bytes of a frame, exactly `plainBytes` of them; anything else throws, before more memory is taken. */
export function decompressFrame(
  stored: Uint8Array,
  plainBytes: number,
  algorithm: CompressionChoice['algorithm'],
): Buffer {
  const limits = limitsOf(plainBytes)
  const plain =
    algorithm === 'gzip'
      ? zlib.gunzipSync(stored, limits)
      : zlib.zstdDecompressSync(stored, { ...limits, params: ZSTD_LIMITS })
  return ofLength(plain, plainBytes)
}

// A little more room than is needed: when the output fills its buffer to the last byte, zlib takes a second one to look for more.
const limitsOf = (plainBytes: number) => ({ maxOutputLength: Math.max(1, plainBytes), chunkSize: plainBytes + 64 })

function ofLength(plain: Buffer, plainBytes: number): Buffer {
  if (plain.length !== plainBytes) throw new RangeError(`${plain.length} bytes instead of ${plainBytes}`)
  return plain
}

/** As `decompressFrame`, by one of the process's threads. */
export async function decompressZstd(stored: Uint8Array, plainBytes: number): Promise<Buffer> {
  const plain = await zstdDecompress(stored, { ...limitsOf(plainBytes), params: ZSTD_LIMITS })
  return ofLength(plain, plainBytes)
}

/** Whether this build of Node gives back what it compressed. Taken by every compression thread before its first frame. */
export function codecWorks(): boolean {
  const sample = new Uint8Array(96 * 1024)
  for (let i = 0; i < sample.length; i++) sample[i] = i < 32_768 ? (i * i) >>> 7 : i >>> 9
  return (['zstd', 'gzip'] as const).every((algorithm) => {
    try {
      const frame = compressFrame(sample, { algorithm, level: 1 })
      return decompressFrame(frame, sample.length, algorithm).equals(sample)
    } catch {
      return false
    }
  })
}
