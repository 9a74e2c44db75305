import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { compareWithManifest } from '../data-folder/compare.ts'
import { plainName } from '../incremental/form.ts'
import { TarInvalid } from '../tar/header.ts'
import { writeManifest } from './chain-manifest.ts'
import { fullLabel } from './label.ts'
import { mergeBuffer, MergedFile, type Merging } from './merged-file.ts'
import { MergedTar } from './merged-tar.ts'
import { NameList } from './name-list.ts'
import { readFull, readIncrements, type Chain, type ChainReading } from './read-chain.ts'
import type { Level } from './read-level.ts'
import { ScratchPages } from './scratch-pages.ts'
import { ScratchTable } from './scratch-table.ts'

export interface MergeTarget {
  readonly sink: SnapshotSink
  /** A folder of its own: it takes what the increments bring, never the whole of the cluster. */
  readonly scratch: string
  readonly watched: ChainReading['watched']
  /** Bytes of the new archive so far. */
  readonly written: (bytes: number) => void
  /** Of the server. */
  readonly major: number
  /** Seconds since 1970: the time that the new manifest names for its files. */
  readonly mtime: number
}

/**
 * Pushes the newest state of a chain as the archive of a full. The increments are read first, the newest before the others; then
 * the full streams by: its files pass with the newer pages among them, or are left out. What it does not have comes behind.
 */
export async function mergeChain(chain: Chain, target: MergeTarget, signal: AbortSignal): Promise<void> {
  const { scratch, sink, watched } = target
  const pages = new ScratchPages(join(scratch, 'pages'))
  await mkdir(join(scratch, 'pages'), { mode: 0o700 })
  using table = new ScratchTable(join(scratch, 'waiting'))
  const complete = new NameList(join(scratch, 'complete'))
  const empties = new NameList(join(scratch, 'empty'))
  const folders: Buffer[] = []
  const whole = (name: string): void => complete.add(name)
  const combined = { tree: pages, table, whole, empty: (name: string) => empties.add(name) }
  const folder = (_: string, block: Buffer): void => void folders.push(Buffer.from(block))
  const reading = { combined, scratch, watched, folder }
  const read = await readIncrements(chain.increments, reading, signal)
  const tar = new MergedTar(sink, join(scratch, 'merged.journal'), target.written)
  await tar.folders(Buffer.concat(folders))
  const merging: Merging = { tar, pages, table, buffer: mergeBuffer() }
  let like: Buffer | null = null
  const begin: Level['begin'] = (path, { size }, block) => {
    if (plainName(path) !== null) throw new TarInvalid('the chain begins with an increment')
    like ??= Buffer.from(block)
    const waiting = table.find(path)
    return waiting === null ? null : new MergedFile(merging, waiting, size, block)
  }
  await readFull(chain.full, read, reading, signal, begin)
  if (like === null) throw new TarInvalid('the full backup has no files')
  await tar.whole(like, 'backup_label', Buffer.from(fullLabel(read.newest.labelText)))
  for await (const name of empties.names(signal)) await tar.whole(like, name, Buffer.alloc(0))
  for await (const name of complete.names(signal)) await pushComplete(merging, like, name, signal)
  tar.flush()
  // Where pages were compared, the manifest says what the whole state was. Otherwise each artifact was compared with its own.
  if (!read.native) await compareWithManifest(read.newest.manifest, tar.journal, signal)
  const manifest = join(scratch, 'backup_manifest')
  await writeManifest(manifest, read.newest, { ...target, journal: tar.journal }, signal)
  await tar.finish(like, 'backup_manifest', manifest, createReadStream(manifest, { signal }))
}

/** A file that is whole without the full. */
async function pushComplete(
  { tar, pages, buffer }: Merging,
  like: Buffer,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  using file = pages.read(name)
  await tar.begin(like, name, file.size)
  for (let at = 0; at < file.size;) {
    signal.throwIfAborted()
    const part = buffer.subarray(0, Math.min(buffer.length, file.size - at))
    file.fill(part, at)
    await tar.data(part)
    at += part.length
  }
  await tar.end(name)
}
