import { type FileHandle, open } from 'node:fs/promises'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import { skimmed } from '../data-folder/skimmed.ts'
import { BLOCK, padded, parseHeader, TarInvalid } from '../tar/header.ts'

const NAME = Buffer.from('backup_manifest\0')
const FIRST_LOOK = 1024 * 1024
/** The end of every archive that was written here. */
const END = 2 * BLOCK

/** Writes the backup_manifest, an archive's last member, into the new file `path`, by reading the archive's end alone. */
export async function copyManifest(content: ArtifactContent, path: string, signal: AbortSignal): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  for (let back = FIRST_LOOK; ; back *= 8) {
    const from = Math.max(0, Math.floor((content.size - back) / BLOCK) * BLOCK)
    if (await copyFrom(content, from, file, signal)) return
    if (from === 0) throw new TarInvalid('the archive has no backup_manifest at its end')
  }
}

async function copyFrom(
  content: ArtifactContent,
  from: number,
  file: FileHandle,
  signal: AbortSignal,
): Promise<boolean> {
  const block = Buffer.alloc(BLOCK)
  let filled = 0
  let at = from
  /** Bytes of the manifest that are still to come; null: its header did not come yet. */
  let left: number | null = null
  for await (const chunk of skimmed(content, from, signal)) {
    for (let read = 0; read < chunk.length;) {
      if (left !== null && left > 0 && filled === 0) {
        const count = Math.min(left, chunk.length - read)
        await file.write(chunk, read, count)
        left -= count
        read += count
        at += count
        continue
      }
      const count = Math.min(BLOCK - filled, chunk.length - read)
      block.set(chunk.subarray(read, read + count), filled)
      filled += count
      read += count
      at += count
      if (filled < BLOCK) continue
      filled = 0
      // What follows the manifest is not looked at.
      left ??= manifestAt(block, at, content.size)
    }
  }
  return left === 0
}

/** Its size, if this is its header: one whose member ends where the archive does. */
function manifestAt(block: Buffer, end: number, total: number): number | null {
  if (!block.subarray(0, NAME.length).equals(NAME)) return null
  try {
    const { type, size } = parseHeader(block)
    return type === 'file' && end + padded(size) + END === total ? size : null
  } catch (error) {
    if (error instanceof TarInvalid) return null
    throw error
  }
}
