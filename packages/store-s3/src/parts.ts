import { createHash } from 'node:crypto'

const MiB = 1024 * 1024
/** Smallest part, and the size up to which an object goes in one request. */
export const PART = 16 * MiB
/** A store takes 10,000; the rest is for sizes that were guessed too low. */
const PARTS = 9_000
/** Objects of unknown size: after so many parts the part size doubles. */
const GROW_AFTER = 1_000

export interface Part {
  /** SHA-256 of the part, base64: what was sent, what the store echoed. */
  readonly sha256: string
  readonly etag: string
}

/** How an object is cut. The same for every attempt of one upload, so that parts can be compared. */
export interface Geometry {
  /** Null: the size was not known; parts grow. */
  readonly part_size: number | null
}

export function geometryFor(size: number | null): Geometry {
  if (size === null) return { part_size: null }
  return { part_size: Math.max(PART, Math.ceil(size / PARTS / MiB) * MiB) }
}

/** Size of the part with this index, from 0. */
export function partSize(geometry: Geometry, index: number): number {
  return geometry.part_size ?? PART * 2 ** Math.floor(index / GROW_AFTER)
}

export function base64Sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

/** What S3 calls the SHA-256 of a multipart object: the hash of its parts' hashes, and their number. */
export function compositeSha256(parts: readonly { readonly sha256: string }[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(Buffer.from(part.sha256, 'base64'))
  return `${hash.digest('base64')}-${parts.length}`
}
