import { lstatSync, statSync } from 'node:fs'
import type { FateOf } from '../data-folder/fates.ts'
import { ManifestReader } from '../data-folder/manifest.ts'
import { pathBelow } from '../data-folder/member-name.ts'
import type { SummedFile } from '../data-folder/journal.ts'
import type { ReadBack } from '../data-folder/read-back.ts'
import { crcOfZeros } from '../data-folder/zeros.ts'
import { plainName } from '../incremental/form.ts'
import type { NamesOnDisk } from './names-on-disk.ts'
import type { Sums } from './sums.ts'

/** Written last or changed by each restore, whatever is there. */
const NEVER_KEPT: ReadonlySet<string> = new Set(['global/pg_control', 'backup_label', 'tablespace_map'])
const BATCH_FILES = 64
const BATCH_BYTES = 8 * 1024 * 1024

export interface FormerFiles {
  readonly root: string
  /** Folders of the data folder that may be links. */
  readonly links: ReadonlySet<string>
  readonly sums: Sums
  /** Takes each name of the backup; the flag: it is there already. */
  readonly names: NamesOnDisk
  /** Hears of each file that is kept. */
  readonly readBack: ReadBack
  readonly fate: FateOf
}

export interface FormerCompared {
  readonly kept: number
  readonly keptBytes: number
  readonly files: number
  /** In which the backup has files, and those above them. */
  readonly folders: ReadonlySet<string>
}

/** Looks which files of a backup are there already. Nothing is written. Of what an increment brings in pages nothing is known. */
export async function compareFormer(
  manifest: string,
  former: FormerFiles,
  onBytes: (done: number) => void,
  signal: AbortSignal,
): Promise<FormerCompared> {
  const { names, readBack, sums, fate } = former
  const isReal = realFolders(former)
  const folders = new Set<string>()
  const total = { kept: 0, keptBytes: 0, files: 0 }
  const running: { readonly batch: readonly SummedFile[]; readonly found: Promise<readonly boolean[]> }[] = []
  const settle = async (): Promise<void> => {
    const { batch, found } = running.shift()!
    const kept = await found
    batch.forEach((file, i) => {
      names.add(file[0], kept[i]!)
      if (!kept[i]) return
      total.kept++
      total.keptBytes += file[1]
      readBack.known(file)
    })
  }
  let batch: SummedFile[] = []
  let bytes = 0
  let looked = 0
  const send = async (): Promise<void> => {
    const found = sums.check(batch)
    found.catch(() => undefined)
    running.push({ batch, found })
    looked += bytes
    batch = []
    bytes = 0
    if (running.length > 4 * sums.threads) await settle()
    onBytes(looked)
  }
  for await (const { path, size, crc } of new ManifestReader(manifest, signal).files()) {
    total.files++
    const plain = plainName(path)
    const name = plain ?? path
    for (let above = parentOf(name); above !== '' && !folders.has(above); above = parentOf(above)) folders.add(above)
    if (plain !== null || NEVER_KEPT.has(name) || !isReal(parentOf(name))) {
      names.add(name, false)
      continue
    }
    batch.push([name, size, fate(name) === 'zeros' ? crcOfZeros(size) : crc])
    bytes += size
    if (batch.length >= BATCH_FILES || bytes >= BATCH_BYTES) await send()
  }
  if (batch.length > 0) await send()
  while (running.length > 0) await settle()
  return { ...total, folders }
}

const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')))

/** Whether a folder is one itself, and all above it are: what lies behind a link is not of this cluster. */
function realFolders({ root, links }: FormerFiles): (name: string) => boolean {
  const known = new Map<string, boolean>([['', true]])
  const isReal = (name: string): boolean => {
    const found = known.get(name)
    if (found !== undefined) return found
    const real = isReal(parentOf(name)) && isFolder(name)
    known.set(name, real)
    return real
  }
  const isFolder = (name: string): boolean => {
    const options = { throwIfNoEntry: false } as const
    const path = pathBelow(root, name)
    return (links.has(name) ? statSync(path, options) : lstatSync(path, options))?.isDirectory() ?? false
  }
  return isReal
}
