import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { open, writeFile, type FileHandle } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { makeStage, putInPlace, removeStage } from '../data-folder/put-in-place.ts'
import { ownerFor, settle } from '../data-folder/settle.ts'
import { CONTENTS, GLOBALS, type Contents, type DumpedDatabase, type DumpEnd } from './contents.ts'
import { wantedDatabases } from './parts.ts'
import { readDump, type DumpReader } from './read-archive.ts'

/** `0001-clinic.dump`; beside it `0001-clinic.json` with what its end says. */
export const dumpFile = ({ folder }: DumpedDatabase): string => `${folder.slice(folder.indexOf('/') + 1)}.dump`
export const endFile = (database: DumpedDatabase): string => dumpFile(database).replace(/dump$/, 'json')

/** A dump as a new folder of files that pg_restore and psql read. */
export async function restoreToFolder(
  context: EngineContext,
  chunks: AsyncIterable<Uint8Array>,
  content: ArtifactContent,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<Check[]> {
  const target = resolve(request.target)
  const began = context.now()
  const stage = await makeStage(target)
  try {
    const files = new DumpFiles(stage.path, request)
    await files.read(chunks)
    await settle(stage.path, await ownerFor(target), signal)
    await putInPlace(stage, target, context.now())
    const detail = `${files.written} databases as files for pg_restore, from ${content.size} bytes of archive`
    return [{ name: 'unpacked', ok: true, detail, duration_ms: Math.round(elapsedMs(began, context.now())) }]
  } catch (error) {
    removeStage(stage)
    throw error
  }
}

class DumpFiles implements DumpReader {
  readonly #folder: string
  readonly #request: RestoreRequest
  #wanted: readonly DumpedDatabase[] = []
  #file: FileHandle | null = null
  written = 0

  constructor(folder: string, request: RestoreRequest) {
    this.#folder = folder
    this.#request = request
  }

  async read(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      await readDump(chunks, this)
    } finally {
      await this.#file?.close()
    }
  }

  async contents(contents: Contents): Promise<void> {
    this.#wanted = wantedDatabases(contents, this.#request.parts)
    await this.#text(CONTENTS, `${JSON.stringify({ ...contents, databases: this.#wanted }, null, 1)}\n`)
  }

  async globals(sql: string): Promise<void> {
    await this.#text(GLOBALS, sql)
  }

  async begins(database: DumpedDatabase): Promise<boolean> {
    if (!this.#wanted.some(({ folder }) => folder === database.folder)) return false
    this.#file = await open(join(this.#folder, dumpFile(database)), 'wx', 0o600)
    return true
  }

  async bytes(part: Buffer): Promise<void> {
    for (let at = 0; at < part.length;) at += (await this.#file!.write(part, at)).bytesWritten
  }

  async ends(database: DumpedDatabase, end: DumpEnd): Promise<void> {
    await this.#file!.close()
    this.#file = null
    this.written++
    await this.#text(endFile(database), `${JSON.stringify(end, null, 1)}\n`)
  }

  async #text(name: string, text: string): Promise<void> {
    await writeFile(join(this.#folder, name), text, { mode: 0o600, flag: 'wx' })
  }
}
