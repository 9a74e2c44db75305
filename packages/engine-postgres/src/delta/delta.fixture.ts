import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** What lies in a data folder, behind its links too: a line for each entry. Times of files are no part of it. */
export function contentsOf(root: string, folder = ''): string[] {
  return readdirSync(join(root, folder)).flatMap((entry) => {
    const name = join(folder, entry)
    const path = join(root, name)
    const found = lstatSync(path)
    if (found.isSymbolicLink() && !name.startsWith('pg_tblspc/')) return [`${name} -> ${readlinkSync(path)}`]
    if (found.isDirectory() || found.isSymbolicLink()) return [`${name}/`, ...contentsOf(root, name)]
    const bytes = readFileSync(path)
    return [`${name} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`]
  })
}

const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'

/** What pg_verifybackup has against a data folder, for manifests of version 1; nothing where it is not installed. */
export function refusedByVerifyBackup(root: string): string {
  if (!existsSync(VERIFY_BACKUP)) return ''
  const { status, stderr } = spawnSync(VERIFY_BACKUP, ['--no-parse-wal', root], { encoding: 'utf8' })
  return status === 0 ? '' : stderr
}
