import type { TarHeader } from '../tar/header.ts'
import { TarInvalid } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import {
  CONTENTS,
  Contents,
  DumpEnd,
  endName,
  GLOBALS,
  LONGEST_TEXT,
  partName,
  type DumpedDatabase,
} from './contents.ts'

/** What a reader of a dump does, part by part. */
export interface DumpReader {
  contents(contents: Contents): Promise<void>
  globals(sql: string): Promise<void>
  /** False: its bytes are passed over. */
  begins(database: DumpedDatabase): Promise<boolean>
  /** Valid until it resolves. */
  bytes(part: Buffer): Promise<void>
  ends(database: DumpedDatabase, end: DumpEnd): Promise<void>
}

/** Thrown by a reader that has seen enough. */
export class SeenEnough extends Error {}

/** Reads a dump in order, and refuses one with members that are missing, cut, strange or out of order: TarInvalid. */
export async function readDump(chunks: AsyncIterable<Uint8Array>, reader: DumpReader): Promise<void> {
  const reading = new Reading(reader)
  for await (const part of tarParts(chunks)) {
    if (part.kind === 'member') await reading.member(part.header)
    else if (part.kind === 'data') await reading.data(part.bytes)
    else await reading.end()
  }
  reading.finish()
}

class Reading {
  readonly #reader: DumpReader
  #contents: Contents | null = null
  #globals = false
  /** Which database comes, and how much of it came. */
  #database = 0
  #parts = 0
  #bytes = 0
  #wanted = false
  /** The text of a member that is read whole; null: the member is a part of a dump. */
  #text: Buffer[] | null = null
  #name = ''

  constructor(reader: DumpReader) {
    this.#reader = reader
  }

  async member(header: TarHeader): Promise<void> {
    const { name, size } = header
    const expected = this.#expected()
    if (header.type !== 'file' || !expected.includes(name))
      throw new TarInvalid(`${JSON.stringify(name)} where ${expected.join(' or ')} belongs`)
    this.#name = name
    const isText = name === CONTENTS || name === GLOBALS || name.endsWith('/end.json')
    if (isText && size > LONGEST_TEXT) throw new TarInvalid(`${name} is too long`)
    this.#text = isText ? [] : null
    if (isText) return
    if (this.#parts++ === 0) this.#wanted = await this.#reader.begins(this.#present)
  }

  #expected(): string[] {
    if (this.#contents === null) return [CONTENTS]
    if (!this.#globals) return [GLOBALS]
    const database = this.#contents.databases[this.#database]
    if (database === undefined) return ['the end']
    const next = partName(database.folder, this.#parts)
    return this.#parts === 0 ? [next] : [next, endName(database.folder)]
  }

  get #present(): DumpedDatabase {
    return this.#contents!.databases[this.#database]!
  }

  async data(bytes: Buffer): Promise<void> {
    if (this.#text !== null) {
      this.#text.push(Buffer.from(bytes))
      return
    }
    this.#bytes += bytes.length
    if (this.#wanted) await this.#reader.bytes(bytes)
  }

  async end(): Promise<void> {
    if (this.#text === null) return
    const text = Buffer.concat(this.#text)
    this.#text = null
    if (this.#name === CONTENTS) {
      this.#contents = parsed(Contents, text, CONTENTS)
      await this.#reader.contents(this.#contents)
    } else if (this.#name === GLOBALS) {
      this.#globals = true
      await this.#reader.globals(text.toString())
    } else await this.#databaseEnds(text)
  }

  async #databaseEnds(text: Buffer): Promise<void> {
    const end = parsed(DumpEnd, text, this.#name)
    if (end.bytes !== this.#bytes || end.parts !== this.#parts)
      throw new TarInvalid(`the dump of ${this.#present.folder} is not whole`)
    if (this.#wanted) await this.#reader.ends(this.#present, end)
    this.#database++
    this.#parts = 0
    this.#bytes = 0
    this.#wanted = false
  }

  finish(): void {
    if (!this.#globals || this.#database !== this.#contents!.databases.length)
      throw new TarInvalid('the dump ends too early')
  }
}

function parsed<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
  text: Buffer,
  name: string,
): T {
  try {
    const result = schema.safeParse(JSON.parse(text.toString()))
    if (result.success) return result.data
  } catch {
    // Said below.
  }
  throw new TarInvalid(`${name} is not what it should be`)
}
