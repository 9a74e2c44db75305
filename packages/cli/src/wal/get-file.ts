import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readReplacedWal } from '@salvor/repository/read-replaced-wal'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { WalSource } from '@salvor/shared/ports/wal'
import { parseWalName, type StoredWal } from '@salvor/shared/vocabulary/wal'
import { Fetched } from './fetched.ts'
import { sourceOf } from './source-of.ts'

/** The source whose files are fetched. */
export interface GetTarget {
  readonly runtime: Runtime
  readonly source: string
  readonly wal: WalSource
  /** What was fetched before it was asked for. */
  readonly fetched: Fetched
}

export function getTarget(runtime: Runtime, named: string | undefined): GetTarget {
  const { settings, wal } = sourceOf(runtime, named)
  const folder = join(runtime.deps.settings().data_dir, 'wal-fetched', encodeURIComponent(settings.name))
  return { runtime, source: settings.name, wal, fetched: new Fetched(folder) }
}

/** The whole file, or the tails of a segment that is not whole yet; each once. WAL_MISSING: no store has any. */
export async function piecesOf(
  { runtime, source }: GetTarget,
  name: string,
): Promise<readonly [StoredWal, ...StoredWal[]]> {
  if (!parseWalName(name))
    throw new SalvorError('USAGE', { reason: `${name} is no name of a WAL file`, command: 'wal get' })
  for await (const piece of runtime.deps.catalog.wal({ source, name })) return [piece]
  const tails = new Map<string, StoredWal>()
  for await (const piece of runtime.deps.catalog.wal({ source, kinds: ['tail'] }))
    if (parseWalName(piece.name)?.segment === name) tails.set(piece.name, piece)
  const [first, ...more] = tails.values()
  if (!first) throw new SalvorError('WAL_MISSING', { source, name })
  return [first, ...more]
}

/** Null: it is not stored as a whole. */
export async function segmentNamed({ runtime, source }: GetTarget, name: string): Promise<StoredWal | null> {
  for await (const piece of runtime.deps.catalog.wal({ source, name })) return piece.kind === 'segment' ? piece : null
  return null
}

/** Appears under the path when it is whole and durable. */
export async function fetchTo(
  { runtime: { deps }, wal }: GetTarget,
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

/** One file, from what was fetched ahead or from a store. */
export async function getFile(
  target: GetTarget,
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<readonly [StoredWal, ...StoredWal[]]> {
  const pieces = await piecesOf(target, name)
  const [first] = pieces
  if (first.kind !== 'segment' || !(await target.fetched.take(first, path))) await fetchTo(target, pieces, path, signal)
  return pieces
}
