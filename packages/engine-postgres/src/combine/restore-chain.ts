import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { Increment } from '@salvor/shared/ports/engine'
import { FilesDiffer } from '../data-folder/compare.ts'
import { linesOf } from '../data-folder/lines.ts'
import { ManifestReader, type WalRange } from '../data-folder/manifest.ts'
import { ManifestWriter } from '../data-folder/manifest-writer.ts'
import { shown } from '../data-folder/member-name.ts'
import type { ReadBack } from '../data-folder/read-back.ts'
import { plainName } from '../incremental/form.ts'
import { assertStandsOn, fullLabel, type Label } from './label.ts'
import { readLevel, type Level, type LevelRead } from './read-level.ts'
import { ScratchTable } from './scratch-table.ts'
import { copyTaker, NewestIncremental, OlderIncremental, olderWhole, type Combined } from './takers.ts'
import { Tree } from '../data-folder/tree.ts'

export interface Chain {
  readonly full: ArtifactContent
  /** Oldest first; at least one. */
  readonly increments: readonly Increment[]
}

export interface ChainTarget {
  readonly folder: string
  /** Folders that are made already. */
  readonly there: readonly string[]
  readonly scratch: string
  readonly readBack: ReadBack
  /** Counts what is read. */
  readonly watched: (content: ArtifactContent) => AsyncIterable<Uint8Array>
  /** Seconds since 1970: the time that the new manifest names for its files. */
  readonly mtime: number
}

/**
 * Puts a full and its increments together in a data folder: each artifact is read once, the newest first, and every page is
 * written once, to its place. Ends with a backup_manifest that names what is there; the journal of `readBack` is complete.
 */
export async function restoreChain(chain: Chain, target: ChainTarget, signal: AbortSignal): Promise<void> {
  const scratch = join(target.scratch, 'chain')
  await mkdir(scratch, { mode: 0o700 })
  using table = new ScratchTable(join(scratch, 'waiting'))
  const tree = new Tree(target.folder, target.there)
  const combined: Combined = { tree, table, whole: (name) => target.readBack.add(name) }
  const [newest, ...older] = chain.increments.toReversed()
  const first = await newest!.open((content) =>
    readLevel({ ...newestLevel(combined, newest!, scratch), chunks: target.watched(content) }, signal),
  )
  const own = isNative(newest!)
  let above = assertKind(newest!, first)
  for (const increment of older) {
    const level = { ...olderLevel(combined, increment.id, scratch), checked: isNative(increment) }
    const read = await increment.open((content) => readLevel({ ...level, chunks: target.watched(content) }, signal))
    assertStandsOn(above, read.label)
    assertSameCluster(first, read, increment.id)
    above = assertKind(increment, read)
  }
  const level = { ...olderLevel(combined, 'the full backup', scratch), checked: own }
  const full = await readLevel({ ...level, chunks: target.watched(chain.full) }, signal)
  assertStandsOn(above, full.label)
  assertSameCluster(first, full, level.name)
  if (full.label.from !== null) throw new FilesDiffer('the chain begins with an increment')
  const missing = table.first()
  if (missing !== null) throw new FilesDiffer(`no backup of the chain holds the whole of ${shown(missing)}`)
  await writeLabel(first, target, tree)
  await target.readBack.finish()
  const manifest = join(target.folder, 'backup_manifest')
  if (own) await writeManifest(manifest, first, target, signal)
  else await copyFile(first.manifest, manifest)
}

/** Taken by the server; otherwise pages were compared, and the manifest is that of the whole state. */
const isNative = ({ engine_facts }: Increment): boolean => engine_facts['incremental'] === 'native'

type LevelSoFar = Omit<Level, 'chunks'>

function newestLevel(combined: Combined, increment: Increment, scratch: string): LevelSoFar {
  return {
    name: increment.id,
    scratch: join(scratch, increment.id),
    checked: isNative(increment),
    folder: (path) => combined.tree.folder(path),
    begin(path, { size }) {
      // Written at the end, when nothing says any more that this is an increment.
      if (path === 'backup_label') return IGNORED
      const plain = plainName(path)
      return plain === null ? copyTaker(combined, path) : new NewestIncremental(combined, plain, size)
    },
  }
}

const IGNORED = { write: () => undefined, end: () => undefined }

/** Files that are not in the newest backup are not waited for: they do not come back. */
function olderLevel(combined: Combined, name: string, scratch: string): Omit<LevelSoFar, 'checked'> {
  return {
    name,
    scratch: join(scratch, name.replaceAll(' ', '-')),
    folder: () => undefined,
    begin(path, { size }) {
      const plain = plainName(path)
      const waiting = combined.table.find(plain ?? path)
      if (waiting === null) return null
      return plain === null ? olderWhole(combined, waiting, size) : new OlderIncremental(combined, waiting, size)
    },
  }
}

function assertKind(increment: Increment, { label }: LevelRead): Label {
  if (isNative(increment) === (label.from !== null)) return label
  throw new FilesDiffer(`${increment.id}: backup_label does not fit its kind`)
}

function assertSameCluster(one: LevelRead, other: LevelRead, name: string): void {
  if (one.systemId !== other.systemId) throw new FilesDiffer(`${name} is of another cluster (system identifier)`)
}

async function writeLabel({ labelText }: LevelRead, { folder, readBack }: ChainTarget, tree: Tree): Promise<void> {
  tree.folder('')
  await writeFile(join(folder, 'backup_label'), fullLabel(labelText), { flag: 'wx', mode: 0o600 })
  readBack.add('backup_label')
}

const SEGMENT = /^pg_wal\/[0-9A-F]{24}$/

async function writeManifest(path: string, newest: LevelRead, target: ChainTarget, signal: AbortSignal): Promise<void> {
  const ranges = await walRangesOf(newest.manifest, signal)
  const writer = new ManifestWriter()
  async function* text(): AsyncGenerator<string> {
    yield writer.head(FIRST_MANIFEST_2, newest.systemId)
    for await (const line of linesOf(target.readBack.journal, signal)) {
      const [name, size, crc] = JSON.parse(line) as [string, number, string]
      if (!SEGMENT.test(name)) {
        yield writer.file({ path: name, size, mtime: target.mtime, crc: Buffer.from(crc, 'hex').readUInt32LE(0) })
      }
    }
    yield writer.tail(ranges)
  }
  await pipeline(text, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal })
}

/** Servers that take increments write manifests of version 2. */
const FIRST_MANIFEST_2 = 17

async function walRangesOf(manifest: string, signal: AbortSignal): Promise<readonly WalRange[]> {
  const reader = new ManifestReader(manifest, signal)
  for await (const _ of reader.files());
  return reader.walRanges
}
