import type { Room } from '../protocol/framer.ts'
import type { Exchange, Row } from '../protocol/link.ts'
import { dataRow, TYPE } from '../protocol/messages.ts'
import { LinkLost } from '../protocol/server-error.ts'

export interface BaseBackupParts {
  /** LSN and timeline at which replay must begin. */
  started(lsn: string, timeline: number): void
  /** One row per tablespace: oid (null: the data folder itself), place, size in kB. Before the first byte of data. */
  tablespaces(rows: readonly Row[]): void
  /** The archive of that row begins; the one before is through. From 15 on nothing follows until the result resolves. */
  archiveBegins(row: number): Room
  archive(part: Buffer): Room
  manifest(part: Buffer): Room
  stopped(lsn: string, timeline: number): void
}

/** `<oid>.tar` or `base.tar`, with `.zst` where it is compressed; the place that follows does not matter. */
const LONGEST_NAME = 32

const KIND = { archive: 0x6e, manifest: 0x6d, data: 0x64, progress: 0x70 } as const

/**
 * Takes the answer to BASE_BACKUP apart: one COPY with tagged messages from 15 on, a COPY for each archive before.
 * Tablespaces come in the order of their rows, the data folder last, then the manifest.
 */
export class BaseBackupReceiver implements Exchange {
  readonly #parts: BaseBackupParts
  readonly #tagged: boolean
  readonly #ending: string
  #sets: Row[][] = []
  #copies = 0
  /** Rows of the tablespaces, the data folder's last; and the archives of them so far. */
  #rows: readonly Row[] = []
  #archives = 0
  #kind = 0
  #name = ''
  #current: 'none' | 'archive' | 'manifest' = 'none'

  constructor(parts: BaseBackupParts, major: number, compressed = false) {
    this.#parts = parts
    this.#tagged = major >= 15
    this.#ending = compressed ? '.tar.zst' : '.tar'
  }

  message(type: number, body: Buffer): void {
    if (type === TYPE.rowDescription) this.#sets.push([])
    else if (type === TYPE.dataRow && this.#sets.length > 0) this.#sets.at(-1)!.push(dataRow(body))
    else if (type === TYPE.commandComplete) this.#completed()
    else if (type === TYPE.copyOut) this.#beginCopy()
    else if (type !== TYPE.copyDone) throw new LinkLost('an unexpected message in the base backup')
  }

  #beginCopy(): void {
    this.#copies++
    if (this.#tagged) return
    if (this.#archives < this.#rows.length) void this.#beginArchive()
    else this.#current = 'manifest'
  }

  #beginArchive(): Room {
    if (this.#current === 'manifest') throw new LinkLost('an archive behind the manifest')
    this.#current = 'archive'
    return this.#parts.archiveBegins(this.#archives++)
  }

  #completed(): void {
    const rows = this.#sets.at(-1)
    const sets = this.#sets.length
    if (sets === 1 && rows) this.#parts.started(...position(rows))
    else if (sets === 2 && rows && this.#copies === 0) this.#tablespaces(rows)
    else if (sets === 3 && rows) this.#parts.stopped(...position(rows))
    // The command's own completion follows without a row set: an empty one keeps it apart.
    if (sets === 3) this.#sets.push([])
  }

  #tablespaces(rows: readonly Row[]): void {
    const last = rows.at(-1)
    if (last?.[0] !== null || !rows.slice(0, -1).every(([oid]) => /^[1-9]\d{0,9}$/.test(oid ?? ''))) {
      throw new LinkLost('a base backup without the data folder as its last tablespace')
    }
    this.#rows = rows
    this.#parts.tablespaces(rows)
  }

  copyData(part: Buffer, first: boolean, last: boolean): Room {
    if (!this.#tagged) return this.#data(part)
    if (first) this.#begin(part[0])
    const body = first ? part.subarray(1) : part
    if (this.#kind === KIND.archive) return this.#archiveName(body, last)
    return this.#kind === KIND.data && body.length > 0 ? this.#data(body) : undefined
  }

  #begin(kind: number | undefined): void {
    if (kind === KIND.archive) this.#name = ''
    else if (kind === KIND.manifest) this.#current = 'manifest'
    else if (kind !== KIND.data && kind !== KIND.progress) throw new LinkLost('an unknown part of the base backup')
    this.#kind = kind
  }

  #archiveName(part: Buffer, last: boolean): Room {
    this.#name += part.toString('latin1', 0, LONGEST_NAME)
    if (!last) return undefined
    const row = this.#rows[this.#archives]
    if (row === undefined || this.#name.split('\0')[0] !== `${row[0] ?? 'base'}${this.#ending}`) {
      throw new LinkLost('an archive that belongs to no tablespace')
    }
    return this.#beginArchive()
  }

  #data(part: Buffer): Room {
    if (this.#current === 'none') throw new LinkLost('data before their archive')
    return this.#current === 'archive' ? this.#parts.archive(part) : this.#parts.manifest(part)
  }
}

function position(rows: readonly Row[]): [string, number] {
  const [lsn, timeline] = rows[0] ?? []
  if (!lsn || !/^[0-9A-F]+\/[0-9A-F]+$/i.test(lsn) || !/^\d+$/.test(timeline ?? '')) {
    throw new LinkLost('a base backup without a position')
  }
  return [lsn, Number(timeline)]
}
