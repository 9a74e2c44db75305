import { changeStores } from '@salvor/policy/copies'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobHandler } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { compactSource } from '../changes/compact-source.ts'

const BUSY_WAIT_MS = 30_000

/** Makes the coarser change sets of a source that are due, from what is stored. Its lease is not the stream's: that goes on. */
export const compactChanges: JobHandler<'compact-changes'> = {
  async handle(run, deps, signal, progress) {
    const { source: name, whole } = run.params
    const source = deps.settings().sources.get(name)
    const store = source && changeStores(source)[0]
    if (store === undefined)
      return { result: { skipped: 'it is not in the configuration, or no store takes its change sets' } }
    await using mine = await deps.lease(`compact:${name}`)
    if (mine === null) return { again: shifted(await deps.catalog.now(), BUSY_WAIT_MS) }
    const both = AbortSignal.any([signal, mine.lost])
    try {
      return { result: await compactSource(deps, { run, store, whole }, progress, both) }
    } catch (error) {
      // A worker that can only seal: another one may have the key, and until then nothing is lost.
      if (!(error instanceof SalvorError) || error.code !== 'KEY_MISSING') throw error
      deps.log.warn({ source: name, error }, 'change sets are not compacted: this worker cannot open them')
      return { result: { skipped: error.message } }
    }
  },
}
