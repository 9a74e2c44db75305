import { rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readReplacedWal } from '@salvor/repository/read-replaced-wal'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { WalSource } from '@salvor/shared/ports/wal'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { parseWalName, segmentAt, type StoredWal } from '@salvor/shared/vocabulary/wal'
import { openForCommand } from '../context.ts'
import { done, type Answer } from '../output.ts'
import { Fetched } from '../wal/fetched.ts'
import { sourceOf, type WalOptions } from '../wal/source-of.ts'

/** Segments that one call fetches beyond its own, and how many of them side by side. */
const AHEAD = 8
const AT_ONCE = 4

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
  const { settings, wal } = sourceOf(runtime, options.source)
  const source = settings.name
  const pieces = await piecesOf(runtime, source, name)
  const [first] = pieces
  if (!first) throw new SalvorError('WAL_MISSING', { source, name })
  const target = resolve(path)
  const answer = done({ source, name, pieces: pieces.length }, [`${source}  ${name}`], EXIT.done)
  const fetched = new Fetched(join(runtime.deps.settings().data_dir, 'wal-fetched', encodeURIComponent(source)))
  if (first.kind === 'segment' && (await fetched.take(first, target))) return answer
  await fetchTo(runtime, wal, pieces, target, signal)
  if (first.kind === 'segment') await fetchAhead(runtime, wal, first, fetched, signal)
  return answer
}

/** Appears under the path when it is whole and durable. */
async function fetchTo(
  { deps }: Runtime,
  wal: WalSource,
  pieces: readonly StoredWal[],
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const { keyring } = deps
  const temporary = `${path}.salvor-${process.pid}`
  const open = ({ store, ...piece }: StoredWal) =>
    readReplacedWal({ ...piece, store: deps.store(store), keyring }, signal)
  try {
    await wal.assemble(
      pieces.map((piece) => ({ ...piece, open: () => open(piece) })),
      temporary,
    )
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Never rejects: what is not here is fetched at its own call, which tells why it cannot be. */
async function fetchAhead(
  runtime: Runtime,
  wal: WalSource,
  from: StoredWal,
  fetched: Fetched,
  signal: AbortSignal,
): Promise<void> {
  try {
    const next = await followers(runtime, from)
    await fetched.keepOnly(next)
    const queue = next.values()
    const work = async (): Promise<void> => {
      for (const piece of queue) await fetched.add(piece, (path) => fetchTo(runtime, wal, [piece], path, signal))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  } catch {
    // Said above.
  }
}

/** The whole segments behind one, without a hole. */
async function followers(
  runtime: Runtime,
  { source, timeline, end_lsn, segment_size }: StoredWal,
): Promise<StoredWal[]> {
  const found: StoredWal[] = []
  if (end_lsn === null || segment_size === null) return found
  for (let at = lsnValue(end_lsn); found.length < AHEAD; at += BigInt(segment_size)) {
    const [piece] = await piecesOf(runtime, source, segmentAt(timeline, at, segment_size))
    if (piece?.kind !== 'segment') break
    found.push(piece)
  }
  return found
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
