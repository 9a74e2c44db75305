import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ControlFile } from '../data-folder/control-file.ts'
import { PAGE, SEGMENT_PAGES } from '../incremental/form.ts'
import { pageChecksum } from '../sandbox/page-checksum.ts'
import { readReferences, segmentsIn } from './read-references.ts'
import type { BlockReference } from './block-references.ts'

const DEFAULT_TABLESPACE = 1663
const MAIN_FORK = 0
const MOST_OPEN = 64
const HEADER = 24
/** pd_pagesize_version: pages of 8192 bytes in layout 4. */
const SIZE_AND_VERSION = PAGE | 4
const UPPER_AT = 14

export interface Stubbing {
  /** The data folder, with the WAL that will be replayed. */
  readonly folder: string
  readonly control: ControlFile
  readonly isLeft: (database: string) => boolean
}

/**
 * Readies databases that came back as zeros for replay. Nearly every record that comes first to a page after a backup began brings it
 * whole; a few do not (the visibility map's, some of hash indexes), and a server that finds zeros then gives up. Those pages become
 * empty ones with a position behind all of that WAL, on which such a record counts as done. Gives the names of files that were changed.
 */
export async function stubPages(
  { folder, control, isLeft }: Stubbing,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const starts = (await segmentsIn(join(folder, 'pg_wal'), control.walSegmentBytes)).map(({ start }) => start)
  const last = starts.reduce((most, start) => (start > most ? start : most), 0n)
  using stubs = new Stubs(folder, control, last + BigInt(control.walSegmentBytes))
  await readReferences(
    join(folder, 'pg_wal'),
    control.walSegmentBytes,
    (reference) => {
      if (reference.fork === MAIN_FORK && isLeft(String(reference.database))) stubs.add(reference)
    },
    signal,
  )
  return stubs.changed
}

class Stubs implements Disposable {
  readonly changed = new Set<string>()
  readonly #folder: string
  readonly #page: Int32Array<ArrayBuffer>
  readonly #checksums: boolean
  readonly #open = new Map<string, { readonly name: string; readonly file: number } | null>()
  readonly #head = Buffer.alloc(HEADER)

  /** `behind`: a position behind all WAL. */
  constructor(folder: string, { dataChecksums }: ControlFile, behind: bigint) {
    this.#folder = folder
    this.#checksums = dataChecksums
    const page = Buffer.alloc(PAGE)
    page.writeUInt32LE(Number(behind >> 32n), 0)
    page.writeUInt32LE(Number(behind & 0xffff_ffffn), 4)
    page.writeUInt16LE(HEADER, 12)
    page.writeUInt16LE(PAGE, UPPER_AT)
    page.writeUInt16LE(PAGE, 16)
    page.writeUInt16LE(SIZE_AND_VERSION, 18)
    this.#page = new Int32Array(new Uint8Array(page).buffer)
  }

  add({ tablespace, database, relation, block }: BlockReference): void {
    const segment = Math.floor(block / SEGMENT_PAGES)
    const key = `${tablespace}/${database}/${relation}/${segment}`
    const found = this.#file(key, () =>
      this.#find(tablespace, `${database}/${relation}${segment === 0 ? '' : `.${segment}`}`),
    )
    if (found === null) return
    const at = (block % SEGMENT_PAGES) * PAGE
    if (fstatSync(found.file).size < at + PAGE) return
    readSync(found.file, this.#head, 0, HEADER, at)
    if (this.#head.readUInt16LE(UPPER_AT) !== 0) return
    this.#page[2] = 0
    if (this.#checksums) this.#page[2] = pageChecksum(this.#page, 0, PAGE / 4, block)
    writeSync(found.file, new Uint8Array(this.#page.buffer), 0, PAGE, at)
    this.changed.add(found.name)
  }

  #file(key: string, find: () => string | null): { readonly name: string; readonly file: number } | null {
    const known = this.#open.get(key)
    if (known !== undefined) return known
    if (this.#open.size >= MOST_OPEN) this[Symbol.dispose]()
    const name = find()
    const opened = name === null ? null : { name, file: openSync(join(this.#folder, name), 'r+') }
    this.#open.set(key, opened)
    return opened
  }

  /** Null: the file is not there; replay makes it, or removes what it belongs to. */
  #find(tablespace: number, name: string): string | null {
    const folder = tablespace === DEFAULT_TABLESPACE ? 'base' : this.#versionFolder(tablespace, name)
    return folder !== null && existsSync(join(this.#folder, folder, name)) ? `${folder}/${name}` : null
  }

  #versionFolder(tablespace: number, name: string): string | null {
    const place = join('pg_tblspc', String(tablespace))
    if (!existsSync(join(this.#folder, place))) return null
    const [version] = readdirSync(join(this.#folder, place)).filter(
      (entry) => entry.startsWith('PG_') && existsSync(join(this.#folder, place, entry, name)),
    )
    return version === undefined ? null : join(place, version)
  }

  [Symbol.dispose](): void {
    for (const opened of this.#open.values()) if (opened) closeSync(opened.file)
    this.#open.clear()
  }
}
