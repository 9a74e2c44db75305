import { walStores } from '@salvor/policy/copies'
import { copyWal } from '@salvor/repository/copy-wal'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'

/** Brings a piece of WAL to the stores that a rule names and that lack it. One that fails holds up no other. */
export const replicateWal: JobHandler<'replicate-wal'> = {
  async handle(run, deps, signal) {
    const { source, name } = run.params
    const pieces: StoredWal[] = []
    for await (const piece of deps.catalog.wal({ source, name })) pieces.push(piece)
    const rules = deps.settings().sources.get(source)
    const missing = (rules ? walStores(rules) : []).filter((store) => pieces.every((piece) => piece.store !== store))
    const failures: SalvorError[] = []
    for (const store of missing) {
      try {
        await bring(deps, pieces, store, signal)
      } catch (error) {
        signal.throwIfAborted()
        failures.push(asSalvorError(error))
      }
    }
    const worst = failures.find(({ retryable }) => retryable) ?? failures[0]
    if (worst) throw worst
    return { result: { arrived: missing } }
  },
}

async function bring(deps: Deps, pieces: readonly StoredWal[], to: string, signal: AbortSignal): Promise<void> {
  let failure: unknown = null
  for (const { store, source, name, document_sha256 } of pieces) {
    const stores = { from: deps.store(store), to: deps.store(to) }
    try {
      const file = await copyWal({ ...stores, keyring: deps.keyring, source, name, document_sha256 }, signal)
      await deps.catalog.transaction({ service: 'replicator' }, (tx) => tx.recordWal(file, to))
      return
    } catch (error) {
      signal.throwIfAborted()
      failure = error
    }
  }
  throw (
    failure ??
    new SalvorError('WAL_MISSING', { source: pieces[0]?.source ?? '', name: pieces[0]?.name ?? 'this piece' })
  )
}
