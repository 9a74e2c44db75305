import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { EngineContext, SnapshotFacts } from '@salvor/shared/ports/engine'
import { closeSync, openSync, readSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ManifestSpool } from './base-backup/manifest-spool.ts'
import { crc32c } from './data-folder/crc32c.ts'
import { ControlFileUnknown, readControlFile, type ControlFile } from './data-folder/control-file.ts'
import { ManifestWriter } from './data-folder/manifest-writer.ts'
import { pathBelow } from './data-folder/member-name.ts'
import { LinkRefused, walk, type FolderEntry } from './data-folder/walk.ts'
import { tablespaceFacts } from './tablespaces/facts.ts'
import { linkOf } from './tablespaces/places.ts'
import { assertStoppedDataFolder } from './target.ts'
import { BLOCK, makeHeader, padded, TarInvalid } from './tar/header.ts'

const CHUNK = 1024 * 1024

/** A stopped server's data folder in the form of every other backup: one tar, its manifest last. */
export async function offlineSnapshot(
  context: EngineContext,
  target: string,
  sink: SnapshotSink,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  const folder = resolve(target)
  await assertStoppedDataFolder(folder)
  try {
    const control = await readControlFile(folder)
    const major = Number((await readFile(join(folder, 'PG_VERSION'), 'latin1')).trim())
    // Nobody commits in a stopped server: it holds its newest state now.
    const instant = context.now()
    await using spool = await ManifestSpool.create(context.scratch_dir)
    const tablespaces = tablespaceFacts(context.source, await tablespaceLinks(folder))
    await new OfflineCopy(context, folder, sink, spool).run(major, control, signal)
    await assertStoppedDataFolder(folder)
    return {
      source_db: folder,
      consistent_at: instant,
      engine_facts: {
        system_id: control.systemId,
        server_version: String(major),
        server_version_num: major * 10_000,
        data_checksums: control.dataChecksums,
        pages_verified: false,
        consistent_at: instant,
        offline: true,
        ...tablespaces,
      },
      notices: [],
    }
  } catch (error) {
    signal.throwIfAborted()
    throw offlineFailure(error, context.source, folder)
  }
}

class OfflineCopy {
  readonly #context: EngineContext
  readonly #folder: string
  readonly #sink: SnapshotSink
  readonly #spool: ManifestSpool
  readonly #manifest = new ManifestWriter()
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK)
  #done = 0
  #total = 0

  constructor(context: EngineContext, folder: string, sink: SnapshotSink, spool: ManifestSpool) {
    this.#context = context
    this.#folder = folder
    this.#sink = sink
    this.#spool = spool
  }

  async run(major: number, control: ControlFile, signal: AbortSignal): Promise<void> {
    const versionFolder = `PG_${major}_${control.catalogVersion}`
    for await (const { size } of walk(this.#folder, versionFolder)) this.#total += size
    await this.#spool.write(Buffer.from(this.#manifest.head(major, control.systemId)))
    let owner = { uid: 0, gid: 0, mtime: 0 }
    for await (const entry of walk(this.#folder, versionFolder)) {
      signal.throwIfAborted()
      owner = entry
      await this.#member(entry, signal)
    }
    await this.#spool.write(Buffer.from(this.#manifest.tail()))
    const { uid, gid, mtime } = owner
    const size = this.#spool.size
    await this.#sink.write(makeHeader({ name: 'backup_manifest', type: 'file', size, mtime, uid, gid }))
    for await (const chunk of this.#spool.chunks(signal)) await this.#sink.write(chunk)
    await this.#sink.write(Buffer.alloc(padded(size) - size + 2 * BLOCK))
  }

  async #member(entry: FolderEntry, signal: AbortSignal): Promise<void> {
    const name = entry.type === 'directory' ? `${entry.name}/` : entry.name
    await this.#sink.write(makeHeader({ ...entry, name }))
    if (entry.type === 'directory') return
    const crc = await this.#contents(entry, signal)
    if (padded(entry.size) > entry.size) await this.#sink.write(Buffer.alloc(padded(entry.size) - entry.size))
    if (/^pg_wal\/[0-9A-F]{24}$/.test(entry.name)) return
    await this.#spool.write(Buffer.from(this.#manifest.file({ ...entry, path: entry.name, crc })))
  }

  async #contents({ name, size }: FolderEntry, signal: AbortSignal): Promise<number> {
    const file = openSync(pathBelow(this.#folder, name), 'r')
    let crc = 0
    try {
      for (let at = 0; at < size;) {
        signal.throwIfAborted()
        const count = readSync(file, this.#buffer, 0, Math.min(CHUNK, size - at), at)
        if (count === 0) throw new SalvorError('SOURCE_CHANGED', { source: this.#context.source })
        const part = this.#buffer.subarray(0, count)
        crc = crc32c(part, crc)
        await this.#sink.write(part)
        at += count
      }
    } finally {
      closeSync(file)
    }
    this.#done += size
    this.#context.progress({ phase: 'copy', done_bytes: this.#done, total_bytes: this.#total })
    return crc
  }
}

/** Oid and place of each tablespace that is a link, as a server would tell them. */
async function tablespaceLinks(folder: string): Promise<[string, string | null][]> {
  const entries = await readdir(join(folder, 'pg_tblspc'), { withFileTypes: true })
  const links = entries.filter((entry) => entry.isSymbolicLink() && /^\d+$/.test(entry.name))
  return await Promise.all(links.map(async ({ name }) => [name, await linkOf(folder, name)] as [string, string | null]))
}

function offlineFailure(error: unknown, source: string, folder: string): unknown {
  if (error instanceof LinkRefused || error instanceof TarInvalid) {
    const fix = 'put what it leads to into its place, or restore to another place'
    return new SalvorError('SOURCE_UNSUPPORTED', { source, what: `${folder}: ${error.message}`, fix }, error)
  }
  if (error instanceof ControlFileUnknown)
    return new SalvorError('SOURCE_DAMAGED', { source, reason: error.message }, error)
  const code = (error as NodeJS.ErrnoException).code
  if (error instanceof SalvorError || code === undefined) return error
  return new SalvorError('SOURCE_UNREADABLE', { source, what: folder, reason: code }, error)
}
