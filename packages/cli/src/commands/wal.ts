import { createReadStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { claimSource } from '@salvor/backup-worker/claim-source'
import { storeWal } from '@salvor/backup-worker/wal/store-wal'
import { walStores } from '@salvor/policy/copies'
import { readWal } from '@salvor/repository/read-wal'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { WalSource } from '@salvor/shared/ports/wal'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { parseWalName, type StoredWal } from '@salvor/shared/vocabulary/wal'
import pc from 'picocolors'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { bytes, done, span, table, type Answer } from '../output.ts'

export interface WalOptions extends GlobalOptions {
  readonly source?: string
}

/**
 * `salvor wal push PATH`, as archive_command calls it: done only when the file is durable in the first store of the rule and in
 * the catalog. The same file again is done, another one of its name is refused.
 */
export async function walPush(path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { deps } = runtime
  const { settings, wal } = sourceOf(runtime, options.source)
  const source = settings.name
  const [store] = walStores(settings)
  if (store === undefined)
    throw new SalvorError('WAL_NOT_STREAMED', { source, reason: 'no store takes wal', fix: NO_STORE })
  const file = resolve(path)
  const piece = await wal.describe(basename(path), file)
  const end = await deps.catalog.walEnd(source)
  if (end !== null && piece.system_id !== null && end.system_id !== piece.system_id) {
    const why = `it is of another cluster (system identifier ${piece.system_id}, was ${end.system_id})`
    throw new SalvorError('WAL_CONFLICT', { source, name: piece.name, store, why })
  }
  if (!(await deps.catalog.hasClaim(source, store))) await claimSource(deps, source, store, signal)
  const stored = await storeWal(deps, settings, store, { piece, content: () => createReadStream(file) }, signal)
  const { name, size_bytes } = stored
  return done({ source, store, name, size_bytes }, [`${source}  ${name} in ${store}, ${bytes(size_bytes)}`], EXIT.done)
}

const NO_STORE = 'add wal to the classes of a store under `copies`'

/** restore_command takes 1 for "there is no such file", and ends the recovery there; above 125 it stops and waits for a person. */
const NOT_KNOWN = 126

/** `salvor wal get NAME PATH`, as restore_command calls it. Exit 1: no store has it. 126: that cannot be known now. */
export async function walGet(name: string, path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  try {
    return await got(name, path, options, signal)
  } catch (thrown) {
    if (thrown instanceof SalvorError && thrown.code === 'WAL_MISSING') throw thrown
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
    return done({ error: thrown instanceof SalvorError ? thrown.toFailure() : String(thrown) }, [], NOT_KNOWN)
  }
}

async function got(name: string, path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { deps } = runtime
  const { settings, wal } = sourceOf(runtime, options.source)
  const source = settings.name
  const pieces = await piecesOf(runtime, source, name)
  if (pieces.length === 0) throw new SalvorError('WAL_MISSING', { source, name })
  const temporary = `${resolve(path)}.salvor-${process.pid}`
  const open = ({ store, name: piece, document_sha256 }: StoredWal) =>
    readWal({ store: deps.store(store), keyring: deps.keyring, source, name: piece }, signal, { document_sha256 })
  try {
    await wal.assemble(
      pieces.map((piece) => ({ ...piece, open: () => open(piece) })),
      temporary,
    )
    await rename(temporary, resolve(path))
  } finally {
    await rm(temporary, { force: true })
  }
  return done({ source, name, pieces: pieces.length }, [`${source}  ${name}`], EXIT.done)
}

/** The whole file, or the tails of a segment that is not whole yet; each once. */
async function piecesOf({ deps }: Runtime, source: string, name: string): Promise<readonly StoredWal[]> {
  if (!parseWalName(name))
    throw new SalvorError('USAGE', { reason: `${name} is no name of a WAL file`, command: 'wal get' })
  const tails = new Map<string, StoredWal>()
  for await (const piece of deps.catalog.wal({ source, name })) return [piece]
  for await (const piece of deps.catalog.wal({ source, kinds: ['tail'] }))
    if (parseWalName(piece.name)?.segment === name) tails.set(piece.name, piece)
  return [...tails.values()]
}

/** `salvor wal status`: how each stream is doing. */
export async function walStatus(options: GlobalOptions): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { catalog } = runtime.deps
  const [streams, now] = await Promise.all([catalog.walStreams(), catalog.now()])
  const head = ['SOURCE', 'STORED UP TO', 'SERVER AT', 'TIMELINE', 'COVERED UNTIL', 'SPOOL', 'SAID', 'TROUBLE']
  const rows = streams.map((stream) => [
    stream.source,
    stream.stored_lsn,
    stream.server_lsn,
    String(stream.timeline),
    stream.covered_until === null ? '-' : `${span(Math.max(0, elapsedMs(stream.covered_until, now)))} ago`,
    bytes(stream.spool_bytes),
    `${span(Math.max(0, elapsedMs(stream.at, now)))} ago`,
    stream.trouble === null ? '-' : pc.red(stream.trouble),
  ])
  const lines = rows.length === 0 ? ['no WAL is streamed'] : table([head.map((word) => pc.dim(word)), ...rows])
  return done({ streams }, lines, EXIT.done)
}

/** The source that was named, or the only one whose WAL can be had. */
function sourceOf({ deps }: Runtime, named: string | undefined): { settings: SourceSettings; wal: WalSource } {
  const { sources } = deps.settings()
  const usage = (reason: string) => new SalvorError('USAGE', { reason, command: 'wal' })
  if (named !== undefined && !sources.has(named)) throw new SalvorError('SOURCE_UNKNOWN', { source: named })
  const streaming = [...sources.values()].filter((source) => source.streams === 'wal')
  const [only, ...more] = named === undefined ? streaming : streaming.filter(({ name }) => name === named)
  if (!only) throw usage(named === undefined ? 'no source has WAL' : `${named} has no WAL`)
  if (more.length > 0) throw usage(`name one: --source ${[only, ...more].map(({ name }) => name).join('|')}`)
  const { wal } = deps.engine(only.name)
  if (!wal) throw usage(`${only.name} has no WAL`)
  return { settings: only, wal }
}
