import { changeStores } from '@salvor/policy/copies'
import { copyChanges } from '@salvor/repository/copy-changes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobHandler } from '@salvor/shared/ports/service'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { bringFromAny, bringToAll } from '../bring-to-all.ts'

/** Brings a change set to the stores that a rule names and that lack it. One that fails holds up no other. */
export const replicateChanges: JobHandler<'replicate-changes'> = {
  async handle(run, deps, signal) {
    const { source, base, name } = run.params
    const copies: StoredChangeSet[] = []
    for await (const copy of deps.catalog.changeSets({ source, name })) if (copy.base === base) copies.push(copy)
    // It went meanwhile: what it held comes with a longer one, which has an event of its own.
    if (copies.length === 0) return { result: { skipped: 'it is in no store any more' } }
    const rules = deps.settings().sources.get(source)
    const missing = (rules ? changeStores(rules) : []).filter((store) => copies.every((copy) => copy.store !== store))
    const bring = async ({ store, document_sha256 }: StoredChangeSet, to: string): Promise<void> => {
      const stores = { from: deps.store(store), to: deps.store(to) }
      const request = { ...stores, keyring: deps.keyring, source, base, name, document_sha256 }
      const file = await copyChanges(request, signal)
      await deps.catalog.transaction({ service: 'replicator' }, (tx) => tx.recordChangeSet(file, to))
    }
    const none = () => new SalvorError('CHANGES_MISSING', { source, name })
    await bringToAll(missing, (to) => bringFromAny(copies, (copy) => bring(copy, to), none, signal), signal)
    return { result: { arrived: missing } }
  },
}
