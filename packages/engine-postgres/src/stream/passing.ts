import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ByteSink } from '@salvor/shared/ports/engine'
import { FilesDiffer } from '../data-folder/compare.ts'
import { crc32c, crcHex } from '../data-folder/crc32c.ts'
import { memberPath } from '../data-folder/member-name.ts'
import { BLOCK, padded, TarInvalid, type TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'

/** Written again at the end, as a restored folder has them, with the small files that other checks read. */
const HELD: ReadonlySet<string> = new Set([
  'postgresql.auto.conf',
  'postgresql.conf',
  'pg_hba.conf',
  'pg_ident.conf',
  'tablespace_map',
  'backup_manifest',
])
const COPIED: ReadonlySet<string> = new Set(['PG_VERSION', 'global/pg_control'])
/** A restored folder has none of them: they belong to the server that was copied. */
const DROPPED: ReadonlySet<string> = new Set(['standby.signal', 'recovery.signal', 'postmaster.pid', 'postmaster.opts'])
const SEGMENT = /^pg_wal\/([0-9A-F]{24})$/

export interface Passed {
  /** Size by name. */
  readonly segments: ReadonlyMap<string, number>
}

/**
 * Lets an archive's members through to `sink` as they come, and sums them up into a journal as `compareWithManifest` reads it.
 * What has to change, or is looked at, lies in `folder` afterwards.
 */
export async function passMembers(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
  journal: string,
  sink: ByteSink,
): Promise<Passed> {
  for (const name of [...HELD, ...COPIED]) await mkdir(dirname(join(folder, name)), { recursive: true, mode: 0o700 })
  const passing = new Passing(folder, journal, sink)
  try {
    for await (const part of tarParts(chunks)) {
      if (part.kind === 'member') await passing.begin(part.header, part.block)
      else if (part.kind === 'data') await passing.data(part.bytes)
      else await passing.end()
    }
  } finally {
    passing.close()
  }
  return passing
}

class Passing implements Passed {
  readonly segments = new Map<string, number>()
  readonly #folder: string
  readonly #sink: ByteSink
  readonly #journal: number
  readonly #names = new Set<string>()
  #name = ''
  #size = 0
  #crc = 0
  #isFile = false
  #passes = false
  #file: number | null = null

  constructor(folder: string, journal: string, sink: ByteSink) {
    this.#folder = folder
    this.#sink = sink
    this.#journal = openSync(journal, 'wx', 0o600)
  }

  async begin(header: TarHeader, block: Buffer): Promise<void> {
    this.#name = memberPath(header)
    this.#size = header.size
    this.#crc = 0
    this.#isFile = header.type === 'file'
    this.#passes = false
    if (!this.#isFile) {
      await this.#sink(block)
      return
    }
    // A second member of a name would replace the first where the tar is unpacked.
    if (this.#isLookedAt() && this.#names.has(this.#name)) throw new TarInvalid('a file of the archive is there twice')
    if (this.#isLookedAt()) this.#names.add(this.#name)
    this.#passes = !HELD.has(this.#name) && !DROPPED.has(this.#name)
    if (this.#isLookedAt()) this.#file = openSync(join(this.#folder, this.#name), 'wx', 0o600)
    if (this.#passes) await this.#sink(block)
  }

  #isLookedAt(): boolean {
    return HELD.has(this.#name) || COPIED.has(this.#name)
  }

  async data(bytes: Buffer): Promise<void> {
    this.#crc = crc32c(bytes, this.#crc)
    if (this.#file !== null) for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at)
    if (this.#passes) await this.#sink(bytes)
  }

  async end(): Promise<void> {
    if (!this.#isFile) return
    const gap = padded(this.#size) - this.#size
    if (this.#passes && gap > 0) await this.#sink(Buffer.alloc(gap))
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
    const segment = SEGMENT.exec(this.#name)?.[1]
    if (segment !== undefined) this.segments.set(segment, this.#size)
    writeSync(this.#journal, `${JSON.stringify([this.#name, this.#size, crcHex(this.#crc)])}\n`)
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    closeSync(this.#journal)
  }
}

/** Every segment that the manifest wants has passed by, whole. */
export function assertPassedWal({ segments }: Passed, wanted: readonly string[], segmentBytes: number): void {
  for (const name of wanted) {
    const size = segments.get(name)
    if (size === undefined) throw new FilesDiffer(`the WAL segment ${name} is missing`)
    if (size !== segmentBytes) throw new FilesDiffer(`the WAL segment ${name} has ${size} bytes`)
  }
}

/** The end of an archive: without it, a tar is cut short, and every tar says so. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK)
