import { constants, type Stats } from 'node:fs'
import { access, lstat, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { assertNotInUse } from './in-use.ts'
import { openRaw } from './raw-file.ts'
import type { Site } from './site.ts'

/**
 * Refuses what a restore must not write over; the path of the source itself is taken for a database even when its first
 * page is ruined. Returns what is replaced, or null for a new file.
 */
export async function assertTarget(target: string, inPlace: boolean, site: Site): Promise<Stats | null> {
  const seen = await lstat(target).catch((error: unknown) => {
    if (isMissing(error)) return null
    throw new SalvorError('RESTORE_FAILED', { target, reason: reasonOf(error) }, error)
  })
  if (seen && !seen.isFile()) {
    const kind = seen.isDirectory() ? 'a folder' : seen.isSymbolicLink() ? 'a symbolic link' : 'not a file'
    throw new SalvorError('USAGE', { reason: `${target} is ${kind}: name a file`, command: 'restore' })
  }
  if (seen && !inPlace) throw new SalvorError('TARGET_NOT_EMPTY', { target })
  await assertFolder(target)
  await assertNotInUse(target, site.context.scratch_dir)
  if (seen) {
    assertOwner(target, seen)
    await assertDatabase(target, seen, site.path)
  }
  return seen
}

async function assertFolder(target: string): Promise<void> {
  for (let folder = dirname(resolve(target)); ; folder = dirname(folder)) {
    const seen = await stat(folder).catch(() => null)
    if (!seen && folder !== dirname(folder)) continue
    if (!seen?.isDirectory()) throw new SalvorError('RESTORE_FAILED', { target, reason: `${folder} is not a folder` })
    await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      throw new SalvorError(
        'RESTORE_FAILED',
        { target, reason: `cannot write to ${folder} (${reasonOf(error)})` },
        error,
      )
    })
    return
  }
}

/** The new file gets the owner of the old one, or the application could not open it. */
function assertOwner(target: string, seen: Stats): void {
  const own = process.geteuid?.()
  if (own === undefined || own === 0 || own === seen.uid) return
  const reason = `it belongs to user ${seen.uid}: run the restore as that user or as root`
  throw new SalvorError('RESTORE_FAILED', { target, reason })
}

async function assertDatabase(target: string, seen: Stats, ownPath: string): Promise<void> {
  if (seen.size === 0 || resolve(target) === ownPath) return
  const raw = await openRaw(target).catch((error: unknown) => {
    throw new SalvorError('RESTORE_FAILED', { target, reason: reasonOf(error) }, error)
  })
  await raw.handle.close()
  if (raw.header) return
  const reason = `${target} is not a SQLite database: move it away, then restore to a new file`
  throw new SalvorError('USAGE', { reason, command: 'restore' })
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

export function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}
