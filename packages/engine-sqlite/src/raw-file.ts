import { constants, type BigIntStats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { HEADER_BYTES, parseHeader, unusedRanges, type Header } from './header.ts'

/**
 * A database file read as bytes. Never used by a process that has the file open with SQLite: closing any descriptor of a
 * file drops all locks of the process on it.
 */
export interface RawFile {
  readonly handle: FileHandle
  readonly stat: BigIntStats
  readonly header: Header | null
}

export async function openRaw(path: string): Promise<RawFile> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const bytes = Buffer.alloc(HEADER_BYTES)
    const { bytesRead } = await handle.read(bytes, 0, HEADER_BYTES, 0)
    return { handle, stat: await handle.stat({ bigint: true }), header: parseHeader(bytes.subarray(0, bytesRead)) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Gives the first `size` bytes to the sink. The file is closed when the sink is done with it, even after an abort. */
export async function pushFile(raw: RawFile, size: number, pageSize: number, sink: SnapshotSink): Promise<void> {
  try {
    if (size > 0) await sink.writeFile(raw.handle.fd, size, unusedRanges(size, pageSize))
  } finally {
    await raw.handle.close()
  }
}

/** Uses the open file, and closes it when that has ended. */
export async function withRaw<T>(raw: RawFile, use: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await use(raw.handle.fd)
  } finally {
    await raw.handle.close()
  }
}

/** The bytes that were read belong to a file that was written to, or that is no longer the one of that name. */
export async function assertUnchanged(before: BigIntStats, path: string, source: string): Promise<void> {
  const now = await stat(path, { bigint: true }).catch(() => null)
  const same = now?.ino === before.ino && now.dev === before.dev && now.size === before.size
  if (!same || now.mtimeNs !== before.mtimeNs) throw new SalvorError('SOURCE_CHANGED', { source })
}
