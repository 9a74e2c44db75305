import { lstat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredObject } from '@salvor/shared/ports/store'
import { isMissing, type Place } from './place.ts'

const CHUNK = 1024 * 1024

export async function headObject(place: Place, key: string, signal: AbortSignal): Promise<StoredObject | null> {
  throwIfInterrupted(signal)
  try {
    const found = await lstat(await place.locate(key))
    return found.isFile() ? { key, size: found.size, sha256: null } : null
  } catch (error) {
    if (isMissing(error)) return null
    throw place.failure(`look at ${key}`, error)
  }
}

/** Reads ahead by one chunk, so that the disk works while the caller does. */
export async function* readObject(
  place: Place,
  key: string,
  range: { readonly offset: number; readonly length: number } | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  throwIfInterrupted(signal)
  try {
    await using handle = await place.openObject(key)
    const { size } = await handle.stat()
    const end = range === null ? size : range.offset + range.length
    if (end > size) throw truncated(place, key, end, size)
    let at = range?.offset ?? 0
    let ahead = readChunk(handle, at, end)
    try {
      while (at < end) {
        const chunk = await ahead
        throwIfInterrupted(signal)
        if (chunk.length === 0) throw truncated(place, key, end, at)
        at += chunk.length
        ahead = readChunk(handle, at, end)
        yield chunk
      }
    } finally {
      await ahead.catch(() => undefined)
    }
  } catch (error) {
    if (isMissing(error)) throw place.missing(key)
    throw place.failure(`read ${key}`, error)
  }
}

/** Its failure is seen by whoever awaits it, however late. */
function readChunk(handle: FileHandle, at: number, end: number): Promise<Uint8Array> {
  const chunk = at < end ? readAt(handle, at, Math.min(CHUNK, end - at)) : Promise.resolve(new Uint8Array(0))
  chunk.catch(() => undefined)
  return chunk
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
  return buffer.subarray(0, bytesRead)
}

function truncated(place: Place, key: string, wanted: number, found: number): SalvorError {
  return new SalvorError('STORE_TRUNCATED', { store: place.store, key, wanted: String(wanted), found: String(found) })
}
