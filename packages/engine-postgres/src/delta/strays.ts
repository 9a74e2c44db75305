import { readlinkSync, rmSync, unlinkSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { pathBelow } from '../data-folder/member-name.ts'

export interface Belonging {
  readonly root: string
  /** Folders of the data folder that may be links. */
  readonly links: ReadonlySet<string>
  /** The backup has it. Below tablespaces, which may hold folders of other clusters, nothing else is looked at. */
  readonly hasFolder: (name: string) => boolean
  readonly hasFile: (name: string) => boolean
  /** Else only files are removed. */
  readonly folders: boolean
}

export interface Strays {
  files: number
  /** Former tablespaces, which the backup does not have: their contents are left where they are. */
  readonly leftPlaces: string[]
}

const TABLESPACE = /^pg_tblspc\/\d+$/
/** What the restore has there itself, and what belongs to a file system. */
const OURS = /^(?:\.salvor-.*|lost\+found)$/

/** Removes what a backup does not have from a data folder. Nothing behind a link is touched but the tablespaces and pg_wal of the cluster. */
export async function removeStrays(belonging: Belonging, signal: AbortSignal): Promise<Strays> {
  const strays: Strays = { files: 0, leftPlaces: [] }
  await sweep('', belonging, strays, signal)
  return strays
}

async function sweep(folder: string, belonging: Belonging, strays: Strays, signal: AbortSignal): Promise<void> {
  const { root, links, hasFile, hasFolder, folders } = belonging
  const below: string[] = []
  for await (const entry of await opendir(pathBelow(root, folder), { encoding: 'latin1', bufferSize: 256 })) {
    signal.throwIfAborted()
    const name = `${folder}${folder === '' ? '' : '/'}${entry.name}`
    if (isForeign(folder, entry.name, belonging)) continue
    if (entry.isDirectory() || links.has(name)) below.push(name)
    else if (!hasFile(name)) removeFile(root, name, entry.isSymbolicLink(), strays)
  }
  for (const name of below) {
    if (!folders || links.has(name) || hasFolder(name)) await sweep(name, belonging, strays, signal)
    else rmSync(pathBelow(root, name), { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Other clusters may have folders beside this one's in the place of a tablespace. */
function isForeign(folder: string, name: string, { links, hasFolder }: Belonging): boolean {
  if (folder === '' || TABLESPACE.test(folder)) if (OURS.test(name)) return true
  return TABLESPACE.test(folder) && links.has(folder) && !hasFolder(`${folder}/${name}`)
}

function removeFile(root: string, name: string, isLink: boolean, strays: Strays): void {
  const path = pathBelow(root, name)
  if (isLink && TABLESPACE.test(name)) strays.leftPlaces.push(readlinkSync(path))
  unlinkSync(path)
  strays.files++
}
