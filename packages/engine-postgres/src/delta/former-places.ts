import { constants, lstatSync, mkdirSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { between } from '../tablespaces/stages.ts'
import type { Placed } from '../tablespaces/places.ts'

/** Folders of a data folder that are links, or become ones: those of the tablespaces, and pg_wal where it is one. */
export function linksOf(target: string, placed: readonly Placed[]): ReadonlySet<string> {
  const links = new Set(placed.map(({ oid }) => `pg_tblspc/${oid}`))
  const wal = join(target, 'pg_wal')
  const isLink = lstatSync(wal, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  if (isLink && statSync(wal, { throwIfNoEntry: false })?.isDirectory()) links.add('pg_wal')
  return links
}

/** Lets the links of a data folder lead to the places of its tablespaces. Gives the folders that were missing and are made. */
export function linkTablespaces(target: string, placed: readonly Placed[]): string[] {
  if (placed.length === 0) return []
  const made: string[] = []
  const folder = join(target, 'pg_tblspc')
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    rmSync(folder, { force: true })
    mkdirSync(folder, 0o700)
  }
  for (const { oid, place } of placed) {
    const first = mkdirSync(place, { recursive: true, mode: 0o700 })
    if (first !== undefined) made.push(...between(first, place))
    const link = join(folder, oid)
    const found = lstatSync(link, { throwIfNoEntry: false })
    if (found?.isSymbolicLink() && resolve(folder, readlinkSync(link)) === place) continue
    if (found) rmSync(link, { recursive: true })
    symlinkSync(place, link)
  }
  return made
}

/** Before anything is changed. */
export async function assertWritable(target: string, placed: readonly Placed[]): Promise<void> {
  for (const folder of [target, ...placed.map(({ place }) => place)]) {
    await access(folder, constants.W_OK | constants.X_OK).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return
      throw new SalvorError(
        'RESTORE_FAILED',
        { target: folder, reason: `it cannot be written to (${error.code})` },
        error,
      )
    })
  }
}
