import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteSink } from '@salvor/shared/ports/engine'
import { FilesDiffer } from '../data-folder/compare.ts'
import { pathBelow, shown } from '../data-folder/member-name.ts'
import { walk } from '../data-folder/walk.ts'
import { BLOCK, makeHeader, padded, type NewMember } from '../tar/header.ts'

const CHUNK = 1024 * 1024

/** Writes a restored data folder as one tar, its manifest last. */
export async function packFolder(folder: string, sink: ByteSink, signal: AbortSignal): Promise<void> {
  for await (const entry of walk(folder, null)) {
    signal.throwIfAborted()
    if (entry.type === 'directory') await sink(makeHeader({ ...entry, name: `${entry.name}/` }))
    else await packFile(folder, entry.name, sink)
  }
  await packFile(folder, 'backup_manifest', sink)
  await sink(Buffer.alloc(2 * BLOCK))
}

/** One file as a member; `name` is a byte string. */
export async function packFile(folder: string, name: string, sink: ByteSink): Promise<void> {
  const path = pathBelow(folder, name)
  const { size, mtimeMs, uid, gid } = statSync(path)
  const member: NewMember = { name, type: 'file', size, mtime: mtimeMs / 1000, uid, gid }
  await sink(makeHeader(member))
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(size, 1)))
    for (let at = 0; at < size;) {
      const count = readSync(file, buffer, 0, Math.min(CHUNK, size - at), at)
      if (count === 0) throw new FilesDiffer(`${shown(name)} became shorter`)
      await sink(buffer.subarray(0, count))
      at += count
    }
  } finally {
    closeSync(file)
  }
  if (padded(size) > size) await sink(Buffer.alloc(padded(size) - size))
}

/** The folder of a stream's own files. */
export const streamFolder = (scratch: string): string => join(scratch, 'stream')
