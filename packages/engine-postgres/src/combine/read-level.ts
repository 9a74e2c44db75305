import { appendFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { SkippableBytes } from '@salvor/shared/ports/artifact'
import { crc32c, crcHex } from '../data-folder/crc32c.ts'
import { compareWithManifest, FilesDiffer } from '../data-folder/compare.ts'
import { memberPath } from '../data-folder/member-name.ts'
import type { TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { parseLabel, type Label } from './label.ts'

/** Takes the bytes of one member. A promise: the next call waits for it. */
export interface Taker {
  write(bytes: Buffer): void | Promise<void>
  end(): void | Promise<void>
}

export interface Level {
  /** For messages. */
  readonly name: string
  readonly chunks: AsyncIterable<Uint8Array> | SkippableBytes
  /** Where its manifest and its sums are kept. */
  readonly scratch: string
  /** Compare what is taken with its manifest. */
  readonly checked: boolean
  /** `block`: the header as it came, valid during the call. */
  readonly folder: (path: string, block: Buffer) => void
  /** Null: nothing of this member is needed. `block` as above. */
  readonly begin: (path: string, header: TarHeader, block: Buffer) => Taker | null
}

export interface LevelRead {
  readonly label: Label
  readonly labelText: string
  readonly systemId: string
  /** The file with its manifest. */
  readonly manifest: string
}

const MANIFEST = 'backup_manifest'
const LABEL = 'backup_label'
const CONTROL = 'global/pg_control'
const KEPT: readonly string[] = [LABEL, CONTROL]
const MOST_KEPT = 64 * 1024

/** Reads one artifact of a chain from its beginning to its end. */
export async function readLevel(level: Level, signal: AbortSignal): Promise<LevelRead> {
  const manifest = `${level.scratch}.manifest`
  await using spool = await open(manifest, 'wx', 0o600)
  const reading = new Reading(level)
  for await (const part of tarParts(level.chunks)) {
    signal.throwIfAborted()
    if (part.kind === 'member') reading.begin(part.header, part.block, part.skip)
    else if (part.kind === 'end') await reading.end()
    else if (reading.path === MANIFEST) await spool.write(part.bytes)
    else await reading.data(part.bytes)
  }
  reading.flush()
  if (level.checked) await compareWithManifest(manifest, reading.journal, signal).catch(named(level.name))
  return { ...reading.facts(), manifest }
}

const named =
  (name: string) =>
  (error: unknown): never => {
    throw error instanceof FilesDiffer ? new FilesDiffer(`${name}: ${error.message}`) : error
  }

class Reading {
  readonly #level: Level
  readonly journal: string
  readonly #kept = new Map<string, Buffer[]>()
  #taker: Taker | null = null
  #size = 0
  #crc: number | null = null
  #lines = ''
  path = ''
  #open = false

  constructor(level: Level) {
    this.#level = level
    this.journal = `${level.scratch}.journal`
  }

  begin(header: TarHeader, block: Buffer, skip: () => void): void {
    this.path = memberPath(header)
    this.#open = header.type === 'file'
    if (!this.#open) {
      this.#level.folder(this.path, block)
      return
    }
    if (KEPT.includes(this.path) && header.size <= MOST_KEPT) this.#kept.set(this.path, [])
    this.#size = header.size
    this.#taker = this.path === MANIFEST ? null : this.#level.begin(this.path, header, block)
    this.#crc = this.#taker !== null && this.#level.checked ? 0 : null
    if (this.#taker === null && this.path !== MANIFEST && !this.#kept.has(this.path)) skip()
  }

  data(bytes: Buffer): void | Promise<void> {
    if (this.#crc !== null) this.#crc = crc32c(bytes, this.#crc)
    this.#kept.get(this.path)?.push(Buffer.from(bytes))
    return this.#taker?.write(bytes)
  }

  end(): void | Promise<void> {
    if (!this.#open) return
    const room = this.#taker?.end()
    this.#taker = null
    this.#lines += `${JSON.stringify([this.path, this.#size, this.#crc === null ? '' : crcHex(this.#crc)])}\n`
    if (this.#lines.length > MOST_KEPT) this.flush()
    return room
  }

  flush(): void {
    appendFileSync(this.journal, this.#lines, { mode: 0o600 })
    this.#lines = ''
  }

  facts(): Omit<LevelRead, 'manifest'> {
    const control = this.#file(CONTROL)
    if (control.length < 8) throw new FilesDiffer(`${this.#level.name}: ${CONTROL} is too short`)
    const labelText = this.#file(LABEL).toString('utf8')
    return { label: parseLabel(labelText), labelText, systemId: control.readBigUInt64LE(0).toString() }
  }

  #file(path: string): Buffer {
    const pieces = this.#kept.get(path)
    if (pieces === undefined) throw new FilesDiffer(`${this.#level.name}: ${path} is missing`)
    return Buffer.concat(pieces)
  }
}
