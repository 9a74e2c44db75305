import { walStores } from '@salvor/policy/copies'
import { copyWal } from '@salvor/repository/copy-wal'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobHandler } from '@salvor/shared/ports/service'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'
import { bringFromAny, bringToAll } from '../bring-to-all.ts'

/** Brings a piece of WAL to the stores that a rule names and that lack it. One that fails holds up no other. */
export const replicateWal: JobHandler<'replicate-wal'> = {
  async handle(run, deps, signal) {
    const { source, name } = run.params
    const pieces: StoredWal[] = []
    for await (const piece of deps.catalog.wal({ source, name })) pieces.push(piece)
    const rules = deps.settings().sources.get(source)
    const missing = (rules ? walStores(rules) : []).filter((store) => pieces.every((piece) => piece.store !== store))
    const bring = async ({ store, document_sha256 }: StoredWal, to: string): Promise<void> => {
      const stores = { from: deps.store(store), to: deps.store(to) }
      const file = await copyWal({ ...stores, keyring: deps.keyring, source, name, document_sha256 }, signal)
      await deps.catalog.transaction({ service: 'replicator' }, (tx) => tx.recordWal(file, to))
    }
    const none = () => new SalvorError('WAL_MISSING', { source, name })
    await bringToAll(missing, (to) => bringFromAny(pieces, (piece) => bring(piece, to), none, signal), signal)
    return { result: { arrived: missing } }
  },
}
