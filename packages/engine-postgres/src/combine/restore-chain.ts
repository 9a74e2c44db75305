import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadBack } from '../data-folder/read-back.ts'
import type { FateOf } from '../data-folder/fates.ts'
import type { Tree } from '../data-folder/tree.ts'
import { writeManifest } from './chain-manifest.ts'
import { fullLabel } from './label.ts'
import { readFull, readIncrements, type Chain, type ChainReading } from './read-chain.ts'
import type { LevelRead } from './read-level.ts'
import { ScratchTable } from './scratch-table.ts'

export interface ChainTarget {
  readonly folder: string
  readonly tree: Tree
  readonly fate?: FateOf
  /** Called between the increments and the full: what waits then, and is there already, need not be waited for. */
  readonly settled?: (table: ScratchTable) => Promise<void>
  readonly scratch: string
  readonly readBack: ReadBack
  /** Counts what is read. */
  readonly watched: ChainReading['watched']
  /** Seconds since 1970: the time that the new manifest names for its files. */
  readonly mtime: number
}

/** Servers that take increments write manifests of version 2. */
const FIRST_MANIFEST_2 = 17

/**
 * Puts a full and its increments together in a data folder: each artifact is read once, the newest first, and every page is
 * written once, to its place. Ends with a backup_manifest that names what is there; the journal of `readBack` is complete.
 */
export async function restoreChain(chain: Chain, target: ChainTarget, signal: AbortSignal): Promise<void> {
  const { readBack, watched, mtime } = target
  const scratch = join(target.scratch, 'chain')
  await mkdir(scratch, { mode: 0o700 })
  using table = new ScratchTable(join(scratch, 'waiting'))
  const { tree, fate } = target
  const combined = {
    tree,
    table,
    whole: (name: string) => readBack.add(name),
    zeroed: (name: string, size: number) => readBack.zeros(name, size),
    ...(fate && { fate }),
  }
  const reading = { combined, scratch, watched, folder: (path: string) => tree.folder(path) }
  const read = await readIncrements(chain.increments, reading, signal)
  await target.settled?.(table)
  await readFull(chain.full, read, reading, signal)
  await writeLabel(read.newest, target)
  await readBack.finish()
  const manifest = join(target.folder, 'backup_manifest')
  const files = { journal: readBack.journal, major: FIRST_MANIFEST_2, mtime }
  if (read.native) await writeManifest(manifest, read.newest, files, signal)
  else await copyFile(read.newest.manifest, manifest)
}

async function writeLabel({ labelText }: LevelRead, { folder, readBack, tree }: ChainTarget): Promise<void> {
  tree.folder('')
  await writeFile(join(folder, 'backup_label'), fullLabel(labelText), { flag: 'wx', mode: 0o600 })
  readBack.add('backup_label')
}
