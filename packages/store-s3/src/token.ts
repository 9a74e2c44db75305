import { z } from 'zod'
import type { Geometry, Part } from './parts.ts'

const Token = z.strictObject({
  v: z.literal(1),
  bucket: z.string(),
  key: z.string(),
  upload_id: z.string().min(1),
  part_size: z.int().positive().nullable(),
  /** SHA-256 in base64 and ETag, in order from the first part. */
  parts: z.array(z.tuple([z.string(), z.string()])).max(10_000),
})

/** An upload that can be gone on with: its first parts are durable in the store. */
export interface Resumable {
  readonly upload_id: string
  readonly geometry: Geometry
  readonly parts: readonly Part[]
}

export function writeToken(place: { readonly bucket: string; readonly key: string }, from: Resumable): string {
  const parts = from.parts.map((part) => [part.sha256, part.etag])
  return JSON.stringify({ v: 1, ...place, upload_id: from.upload_id, part_size: from.geometry.part_size, parts })
}

/** Null for a token of another object, another version, or none at all: then the upload starts from the beginning. */
export function readToken(place: { readonly bucket: string; readonly key: string }, token: string): Resumable | null {
  let json: unknown
  try {
    json = JSON.parse(token)
  } catch {
    return null
  }
  const parsed = Token.safeParse(json)
  if (!parsed.success || parsed.data.bucket !== place.bucket || parsed.data.key !== place.key) return null
  return {
    upload_id: parsed.data.upload_id,
    geometry: { part_size: parsed.data.part_size },
    parts: parsed.data.parts.map(([sha256, etag]) => ({ sha256, etag })),
  }
}
