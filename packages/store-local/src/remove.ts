import { rename, unlink } from 'node:fs/promises'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { errnoOf, isMissing, type Place } from './place.ts'
import { openTemporary } from './temporary.ts'
import { writeFully } from './write.ts'

export async function removeObject(place: Place, key: string, signal: AbortSignal): Promise<void> {
  throwIfInterrupted(signal)
  try {
    const path = await place.locate(key)
    await unlink(path)
    await place.syncFolder(path)
  } catch (error) {
    // Some systems answer EPERM for a folder of that name.
    if (!isMissing(error) && !(errnoOf(error) === 'EPERM' && (await isFolder(place, key)))) {
      throw place.failure(`delete ${key}`, error)
    }
  }
}

async function isFolder(place: Place, key: string): Promise<boolean> {
  return place.openObject(key).then(
    async (handle) => handle.close().then(() => false),
    (error: unknown) => errnoOf(error) === 'EISDIR',
  )
}

/** By a rename: a reader sees the old bytes or the new ones, and a crash leaves one of the two. */
export async function replaceObject(place: Place, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  throwIfInterrupted(signal)
  try {
    const path = await place.prepare(key)
    const temporary = await openTemporary(await place.root())
    try {
      await writeFully(temporary.handle, bytes, 0)
      await temporary.handle.sync()
      await temporary.handle.close()
      await rename(temporary.path, path)
    } catch (error) {
      await temporary.handle.close().catch(() => undefined)
      await unlink(temporary.path).catch(() => undefined)
      throw error
    }
    await place.syncFolder(path)
  } catch (error) {
    throw place.failure(`replace ${key}`, error)
  }
}
