import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { claimSource } from '@salvor/backup-worker/claim-source'
import { storeWal } from '@salvor/backup-worker/wal/store-wal'
import { walStores } from '@salvor/policy/copies'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { WalSource } from '@salvor/shared/ports/wal'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { sourceOf } from './source-of.ts'

const NO_STORE = 'add wal to the classes of a store under `copies`'
const READ = 1 << 20

/** The source whose files are handed over, and the store that takes them first. */
export interface PushTarget {
  readonly runtime: Runtime
  readonly settings: SourceSettings
  readonly wal: WalSource
  readonly store: string
}

/** WAL_NOT_STREAMED: no store takes this source's WAL. */
export function pushTarget(runtime: Runtime, named: string | undefined): PushTarget {
  const { settings, wal } = sourceOf(runtime, named)
  const [store] = walStores(settings)
  if (store === undefined) {
    const facts = { source: settings.name, reason: 'no store takes wal', fix: NO_STORE }
    throw new SalvorError('WAL_NOT_STREAMED', facts)
  }
  return { runtime, settings, wal, store }
}

/**
 * Stores one file: durable in the store and in the catalog when it resolves. The same file again is done. WAL_CONFLICT: another
 * one of its name is there, or it is of another cluster. SOURCE_DAMAGED: it is no WAL of its name.
 */
export async function pushFile(
  { runtime: { deps }, settings, wal, store }: PushTarget,
  file: string,
  signal: AbortSignal,
): Promise<WalFile> {
  const source = settings.name
  const piece = await wal.describe(basename(file), file)
  const end = await deps.catalog.walEnd(source)
  if (end !== null && piece.system_id !== null && end.system_id !== piece.system_id) {
    const why = `it is of another cluster (system identifier ${piece.system_id}, was ${end.system_id})`
    throw new SalvorError('WAL_CONFLICT', { source, name: piece.name, store, why })
  }
  if (!(await deps.catalog.hasClaim(source, store))) await claimSource(deps, source, store, signal)
  return await storeWal(deps, settings, store, { piece, content: () => contentOf(file) }, signal)
}

/** Serve again: megabytes that are garbage after each segment are what a helper would grow by. */
const free: Buffer[] = []

async function* contentOf(file: string): AsyncGenerator<Uint8Array> {
  await using handle = await open(file)
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(READ)
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, READ)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    free.push(buffer)
  }
}
