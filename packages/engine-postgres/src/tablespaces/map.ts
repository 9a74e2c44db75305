import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FilesDiffer } from '../data-folder/compare.ts'
import { shown } from '../data-folder/member-name.ts'
import { withoutFile } from '../data-folder/manifest-without.ts'
import type { Tablespace } from './facts.ts'

export const MAP = 'tablespace_map'
const LONGEST_MAP = 16 * 1024 * 1024

export interface MapLine {
  readonly oid: string
  /** What the place may be: servers before 14 escape line breaks alone. */
  readonly places: readonly string[]
}

/** `<oid> <place>` a line, as a server writes it: a backslash goes before a line break, and before a backslash from 14 on. */
export function parseMap(text: string): MapLine[] {
  const found: MapLine[] = []
  for (const [line] of text.matchAll(/(?:[^\\\n\r]|\\[^])*[\n\r]?/g)) {
    if (line === '') continue
    const [, oid, place] = /^([1-9]\d{0,9}) ([^]+)[\n\r]$/.exec(line) ?? []
    if (oid === undefined || place === undefined) throw new FilesDiffer(`tablespace_map has a line ${shown(line)}`)
    found.push({ oid, places: [place.replace(/\\([^])/g, '$1'), place.replace(/\\([\n\r])/g, '$1')] })
  }
  return found
}

/**
 * Takes `tablespace_map` out of a restored data folder, and its line out of the manifest: a server that finds it makes
 * the links anew, to the places of the source. What it says must be what the backup's own facts say.
 */
export async function dropMap(folder: string, expected: readonly Tablespace[], signal: AbortSignal): Promise<void> {
  const file = join(folder, MAP)
  const found = await stat(file).catch(() => null)
  if (found === null) return
  if (found.size > LONGEST_MAP) throw new FilesDiffer('tablespace_map is too long')
  const places = new Map(expected.map(({ oid, location }) => [oid, location]))
  for (const { oid, places: named } of parseMap(await readFile(file, 'utf8'))) {
    if (!named.includes(places.get(oid) ?? '')) {
      throw new FilesDiffer(`tablespace_map puts tablespace ${oid} elsewhere than the backup says`)
    }
    places.delete(oid)
  }
  const [missing] = places.keys()
  if (missing !== undefined) throw new FilesDiffer(`tablespace_map does not name tablespace ${missing}`)
  await rm(file)
  await withoutFile(join(folder, 'backup_manifest'), MAP, signal)
}
