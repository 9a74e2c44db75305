import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RestoreRequest } from '@salvor/shared/ports/engine'
import { readdir, readlink, stat } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'
import { isStageName } from '../data-folder/put-in-place.ts'
import { tablespacesOf, type Tablespace } from './facts.ts'

/** A tablespace and the folder in which it comes back. */
export interface Placed extends Tablespace {
  readonly place: string
}

/**
 * Where each tablespace of a backup comes back: where `--tablespace` says; in place, where the stopped server has it; else
 * in `<target>_tblspc/<oid>`. Never where it lay on the source: that may be in use on this very machine. Refuses places
 * that hold something, or lie in each other. Writes nothing. `inside` leaves all of them in the data folder itself.
 */
export async function choosePlaces(request: RestoreRequest, target: string): Promise<readonly Placed[]> {
  const { tablespaces: wishes = {}, in_place, delta } = request
  if (wishes === 'inside') return []
  const all = tablespacesOf(request.engine_facts)
  assertKnown(wishes, all)
  const placed: Placed[] = []
  for (const tablespace of all) {
    const usual = `${target}_tblspc${sep}${tablespace.oid}`
    const former = in_place || delta ? await linkOf(target, tablespace.oid) : null
    const place = wishes[tablespace.location] ?? former ?? usual
    if (!isAbsolute(place)) throw refused(tablespace, place, 'it is not an absolute path')
    const chosen = { ...tablespace, place: resolve(place) }
    assertApart(chosen, [target, ...placed.map((other) => other.place)])
    // The link of a data folder that is half destroyed may be lost.
    await assertFree(chosen, chosen.place === former || (delta !== undefined && chosen.place === usual))
    placed.push(chosen)
  }
  return placed
}

function assertKnown(wishes: Readonly<Record<string, string>>, all: readonly Tablespace[]): void {
  const known = all.map(({ location }) => location)
  const [unknown] = Object.keys(wishes).filter((location) => !known.includes(location))
  if (unknown === undefined) return
  const reason = known.length === 0 ? 'the backup has no tablespaces' : `the backup has ${known.join(', ')}`
  throw refused({ location: unknown, oid: '' }, wishes[unknown]!, reason)
}

/** The folder that a data folder's link leads to, if there is one. */
export async function linkOf(dataFolder: string, oid: string): Promise<string | null> {
  const folder = join(dataFolder, 'pg_tblspc')
  const link = await readlink(join(folder, oid)).catch(() => null)
  return link === null ? null : resolve(folder, link)
}

function assertApart(chosen: Placed, others: readonly string[]): void {
  for (const other of others) {
    if (isWithin(chosen.place, other) || isWithin(other, chosen.place)) {
      throw refused(chosen, chosen.place, `${other} is restored to, too`)
    }
  }
}

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}${sep}`)

async function assertFree(chosen: Placed, ofStoppedServer: boolean): Promise<void> {
  const found = await stat(chosen.place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw refused(chosen, chosen.place, `it cannot be looked at (${error.code})`)
  })
  if (found === null) return
  if (!found.isDirectory()) throw refused(chosen, chosen.place, 'it is not a folder')
  if (ofStoppedServer) return
  const entries = (await readdir(chosen.place)).filter((name) => !isStageName(name))
  if (entries.length > 0) throw refused(chosen, chosen.place, 'it is not empty')
}

const refused = ({ location }: Tablespace, place: string, reason: string): SalvorError =>
  new SalvorError('TABLESPACE_REFUSED', { tablespace: location, place, reason })
