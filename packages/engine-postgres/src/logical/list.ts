import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, ListRequest } from '@salvor/shared/ports/engine'
import type { BackupEntry } from '@salvor/shared/ports/reading'
import { ClientProcess } from './client-process.ts'
import type { Contents, DumpedDatabase } from './contents.ts'
import type { ClientProgram } from './programs.ts'
import { readDump, SeenEnough, type DumpReader } from './read-archive.ts'
import { restoreProgram } from './restore-program.ts'

/** The databases of a dump, or the objects of one of them: only as much is read as tells them. */
export async function listDump(
  context: EngineContext,
  content: ArtifactContent,
  { engine_facts, database }: ListRequest,
  signal: AbortSignal,
): Promise<readonly BackupEntry[]> {
  await using listing = new Listing(database, database === null ? null : await restoreProgram(context, engine_facts))
  try {
    await readDump(content.chunks(signal), listing)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof SeenEnough)) throw error
  }
  return await listing.result()
}

const SILENT_MS = 600_000
/** `3021; 1259 16394 TABLE DATA public visits clerk` */
const LINE = /^\d+; \d+ \d+ ([A-Z]+(?: [A-Z]+)*) (.*)$/

class Listing implements DumpReader, AsyncDisposable {
  readonly #database: string | null
  readonly #program: ClientProgram | null
  #entries: BackupEntry[] = []
  #process: ClientProcess | null = null
  #output: Promise<string> | null = null

  constructor(database: string | null, program: ClientProgram | null) {
    this.#database = database
    this.#program = program
  }

  async contents({ databases }: Contents): Promise<void> {
    if (this.#database === null) {
      this.#entries = databases.map(({ name, owner, encoding, extensions, size_bytes: bytes }) => {
        const has = extensions.length === 0 ? '' : `, with ${extensions.map((extension) => extension.name).join(', ')}`
        return { kind: 'DATABASE', name, detail: `of ${owner}, ${encoding}${has}`, bytes }
      })
      throw new SeenEnough()
    }
    if (databases.some(({ name }) => name === this.#database)) return
    const reason = `the backup has no database ${this.#database}; it has ${databases.map(({ name }) => name).join(', ')}`
    throw new SalvorError('USAGE', { reason, command: 'restore' })
  }

  async globals(): Promise<void> {
    // Roles belong to no database.
  }

  async begins({ name }: DumpedDatabase): Promise<boolean> {
    if (name !== this.#database) return false
    const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' }
    this.#process = new ClientProcess({ program: this.#program!.path, args: ['--list'], env, input: 'pipe' })
    this.#output = text(this.#process)
    this.#output.catch(() => undefined)
    return true
  }

  async bytes(part: Buffer): Promise<void> {
    if (!(await this.#process!.write(part))) throw new SeenEnough()
  }

  async ends(): Promise<void> {
    throw new SeenEnough()
  }

  async result(): Promise<readonly BackupEntry[]> {
    if (this.#process === null) return this.#entries
    this.#process.endInput()
    const lines = (await this.#output!).split('\n')
    await this.#process.end()
    return lines.flatMap((line) => {
      const [, kind, name] = LINE.exec(line) ?? []
      return kind === undefined ? [] : [{ kind, name: name!, detail: '' }]
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]()
  }
}

async function text(process: ClientProcess): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.output(() => SILENT_MS)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
