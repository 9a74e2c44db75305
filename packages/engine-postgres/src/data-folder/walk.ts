import type { Stats } from 'node:fs'
import { lstat, readdir, stat } from 'node:fs/promises'
import { pathBelow } from './member-name.ts'

export interface FolderEntry {
  /** A byte string below the data folder. */
  readonly name: string
  readonly type: 'file' | 'directory'
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  readonly uid: number
  readonly gid: number
}

/** A link that leads out of the data folder, to data that a copy of the folder would miss. */
export class LinkRefused extends Error {
  constructor(name: string) {
    super(`${name} is a symbolic link that leads out of it, or nowhere`)
    this.name = 'LinkRefused'
  }
}

/** What a server writes anew when it starts, and what belongs to an earlier restore. */
const LEFT_OUT =
  /^(?:postmaster\.(?:pid|opts)|backup_manifest|\.salvor-.*|lost\+found|pg_stat_tmp\/.*|.*\/pgsql_tmp.*)$/

const TABLESPACE = /^pg_tblspc\/\d+$/

/**
 * Every directory and file of a data folder, directories before what lies in them. pg_wal may be a link to another disk,
 * and tablespaces are: of those only `versionFolder` belongs to this cluster (null: all).
 */
export async function* walk(root: string, versionFolder: string | null, folder = ''): AsyncGenerator<FolderEntry> {
  for (const raw of (await readdir(pathBelow(root, folder), { encoding: 'buffer' })).sort((a, b) => a.compare(b))) {
    const name = `${folder}${folder === '' ? '' : '/'}${raw.toString('latin1')}`
    if (LEFT_OUT.test(name) || isForeign(raw, folder, versionFolder)) continue
    const path = pathBelow(root, name)
    const own = await lstat(path)
    const found = own.isSymbolicLink() ? await follow(path, name) : own
    const facts = { mtime: found.mtimeMs / 1000, uid: found.uid, gid: found.gid }
    if (found.isDirectory()) {
      yield { name, type: 'directory', size: 0, ...facts }
      yield* walk(root, versionFolder, name)
    } else if (found.isFile()) yield { name, type: 'file', size: found.size, ...facts }
  }
}

const isForeign = (raw: Buffer, folder: string, versionFolder: string | null): boolean =>
  versionFolder !== null && TABLESPACE.test(folder) && raw.toString('latin1') !== versionFolder

async function follow(path: Buffer, name: string): Promise<Stats> {
  const found = await stat(path).catch(() => null)
  const leadsOut = name === 'pg_wal' || TABLESPACE.test(name)
  if (found === null || (found.isDirectory() ? !leadsOut : name.startsWith('pg_tblspc/'))) throw new LinkRefused(name)
  return found
}
