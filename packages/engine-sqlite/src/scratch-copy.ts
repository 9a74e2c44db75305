import { constants } from 'node:fs'
import { copyFile, open, statfs, type FileHandle } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

const CHUNK = 4 * 1024 * 1024
/** Left free beside a copy, for the catalog and the logs on the same disk. */
const MARGIN = 64 * 1024 * 1024

/** A copy that cannot end is not begun. */
export async function assertRoom(folder: string, bytes: number, margin = MARGIN): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + margin) throw new SalvorError('DISK_FULL', { what: folder })
}

export interface Slices extends AsyncDisposable {
  /** Brings a slice into memory, so that reading it again under a lock takes no disk. */
  warm(offset: number): Promise<void>
  /** Keeps the slice at `offset` of a file of `size` bytes. */
  read(offset: number, size: number): Promise<void>
  /** Writes what was read last. */
  store(offset: number): Promise<void>
  truncate(size: number): Promise<void>
}

export async function openSlices(from: string, to: string, sliceBytes: number): Promise<Slices> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
  const target = await openFresh(to).catch(async (error: unknown) => {
    await source.close()
    throw error
  })
  const buffer = Buffer.allocUnsafe(sliceBytes)
  let kept = 0
  return {
    async warm(offset) {
      await source.read(buffer, 0, buffer.length, offset)
    },
    async read(offset, size) {
      kept = Math.min(buffer.length, size - offset)
      await readFully(source, buffer.subarray(0, kept), offset)
    },
    async store(offset) {
      await writeFully(target, buffer.subarray(0, kept), offset).catch((error: unknown) => {
        throw withFullDisk(error, to)
      })
    },
    truncate: (size) => target.truncate(size),
    async [Symbol.asyncDispose]() {
      await Promise.all([source.close(), target.close()])
    },
  }
}

/**
 * Copies the first `size` bytes as fast as the disk allows: a database is locked meanwhile, or stopped. File systems
 * that can share blocks take no time at all.
 */
export async function copyToScratch(from: string, to: string, size: number, signal: AbortSignal): Promise<void> {
  if (await shareBlocks(from, to)) return
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const target = await openFresh(to)
    try {
      await copyBytes(source, target, size, signal)
    } finally {
      await target.close()
    }
  } catch (error) {
    throw withFullDisk(error, to)
  } finally {
    await source.close()
  }
}

/** A copy that shares its blocks with the file: whether that could be had. */
export function shareBlocks(from: string, to: string): Promise<boolean> {
  return copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  )
}

function openFresh(path: string): Promise<FileHandle> {
  return open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)
}

async function copyBytes(source: FileHandle, target: FileHandle, size: number, signal: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(size, 1)))
  for (let offset = 0; offset < size; offset += buffer.length) {
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    const chunk = buffer.subarray(0, Math.min(buffer.length, size - offset))
    await readFully(source, chunk, offset)
    await writeFully(target, chunk, offset)
  }
}

async function readFully(source: FileHandle, into: Buffer, offset: number): Promise<void> {
  const read = await readMost(source, into, offset)
  if (read < into.length) throw new Error(`the file ended at ${offset + read}`)
}

/** Fewer bytes where the file ends. */
export async function readMost(source: FileHandle, into: Buffer, offset: number): Promise<number> {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await source.read(into, done, into.length - done, offset + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

async function writeFully(target: FileHandle, from: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < from.length;) {
    done += (await target.write(from, done, from.length - done, offset + done)).bytesWritten
  }
}

export function withFullDisk(error: unknown, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' ? new SalvorError('DISK_FULL', { what }, error) : error
}
