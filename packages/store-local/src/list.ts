import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import type { StoredObject, StoreSpace } from '@salvor/shared/ports/store'
import { assertKeyPrefix, isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { isMissing, type Place } from './place.ts'

/** How many files are looked at together; more would only queue in the thread pool. */
const AT_ONCE = 32

/**
 * Ascending by key. Holds the names of one folder per level, no more. What has no name of ours (temporary files, links,
 * a file system's lost+found) is passed over.
 */
export async function* listObjects(place: Place, prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
  assertKeyPrefix(prefix)
  throwIfInterrupted(signal)
  try {
    yield* walk(await place.root(), '', prefix, signal)
  } catch (error) {
    if (!isMissing(error)) throw place.failure('list', error)
  }
}

async function* walk(folder: string, above: string, prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
  const names: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(emptyWhenGone)) {
    if (!isObjectKey(entry.name) || !(entry.isFile() || entry.isDirectory())) continue
    // A folder sorts by its name with the slash that its keys have: `b.c` before `b/x` before `b0`.
    const name = above + entry.name + (entry.isDirectory() ? '/' : '')
    if (name.startsWith(prefix) || (entry.isDirectory() && prefix.startsWith(name))) names.push(name)
  }
  names.sort()
  for (let at = 0; at < names.length; at += AT_ONCE) {
    throwIfInterrupted(signal)
    const batch = names.slice(at, at + AT_ONCE)
    const sizes = await Promise.all(batch.map((name) => sizeOf(folder, name.slice(above.length))))
    for (const [n, name] of batch.entries()) {
      const size = sizes[n]
      if (name.endsWith('/')) yield* walk(join(folder, name.slice(above.length)), name, prefix, signal)
      else if (typeof size === 'number') yield { key: name, size, sha256: null }
    }
  }
}

/** Null: a folder, or deleted since its folder was read. */
async function sizeOf(folder: string, name: string): Promise<number | null> {
  if (name.endsWith('/')) return null
  try {
    return (await lstat(join(folder, name))).size
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function emptyWhenGone(error: unknown): never[] {
  if (isMissing(error)) return []
  throw error
}

export async function usedBytes(place: Place, signal: AbortSignal): Promise<number> {
  let used = 0
  for await (const object of listObjects(place, '', signal)) used += object.size
  return used
}

/** `used` counts the objects of the store; `free` is what this user can still write, and what `max_size` leaves. */
export async function spaceOf(place: Place, maxBytes: number | null, signal: AbortSignal): Promise<StoreSpace> {
  const used = await usedBytes(place, signal)
  try {
    const disk = await statfs(await place.root(), { bigint: true })
    const free = Number(disk.bavail * disk.bsize)
    return { used_bytes: used, free_bytes: maxBytes === null ? free : Math.max(0, Math.min(free, maxBytes - used)) }
  } catch (error) {
    if (isMissing(error)) return { used_bytes: used, free_bytes: null }
    throw place.failure('measure free space', error)
  }
}
