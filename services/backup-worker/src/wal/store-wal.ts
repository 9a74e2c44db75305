import { writeWal, type UnfinishedWal } from '@salvor/repository/write-wal'
import { VERSION } from '@salvor/runtime/version'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { WalFile, WalPiece } from '@salvor/shared/vocabulary/wal'

export interface WalContent {
  readonly piece: WalPiece
  /** The plain bytes, from the beginning each time it is called. */
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** Kept from one try to the next, by who tries again. */
  readonly unfinished?: UnfinishedWal
}

/** Puts a piece into a store and then into the catalog; whole ones are announced, so that others copy them. Durable when it resolves. */
export async function storeWal(
  deps: Deps,
  { name: source, encrypt, plain_allowed = false }: SourceSettings,
  store: string,
  { piece, content, unfinished }: WalContent,
  signal: AbortSignal,
): Promise<WalFile> {
  const { catalog, clock, ids, keyring } = deps
  const request = { keyring, encrypt, allowPlain: plain_allowed, level: 1, source, piece, content }
  const written = { store: deps.store(store), id: ids.next(), timestamp: clock.now(), tool_version: VERSION }
  const file = await writeWal({ ...request, ...written, ...(unfinished && { unfinished }) }, signal)
  await catalog.transaction({ service: 'backup-worker' }, async (tx) => {
    await tx.recordWal(file, store)
    if (file.kind === 'tail') return
    const { name, timeline, end_lsn, size_bytes } = file
    const data = { source, store, name, timeline, end_lsn, size_bytes }
    await tx.publish({ type: 'wal-segment.stored', subject: source, data })
  })
  return file
}
