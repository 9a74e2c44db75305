import { claimSource } from '../claim-source.ts'
import { compactions, SPANS_MS, spanStart } from '@salvor/policy/compaction'
import { changeSetsOf, setInput } from '@salvor/runtime/change-facts'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { RunProgress } from '@salvor/shared/vocabulary/run'

/** Made by one task, and recorded together. */
const AT_ONCE = 50

interface Wish {
  readonly run: JobRun<'compact-changes'>
  readonly store: string
  readonly whole: boolean
}

/** Makes what is due, the shortest spans first, since longer ones are made of them. One that fails is left for another time. */
export async function compactSource(
  deps: Deps,
  { run, store, whole }: Wish,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<{ readonly made: number; readonly failed: number }> {
  const { source } = run.params
  const now = await deps.catalog.now()
  // From the beginning of a day: spans are made of what lies within them.
  const since = whole ? null : spanStart(shifted(now, -SPANS_MS.day), SPANS_MS.day)
  const tried = new Set<string>()
  for (let made = 0; ;) {
    const sets = await changeSetsOf(deps, source, null, since === null ? {} : { since })
    const some = compactions(sets, now, tried).slice(0, AT_ONCE)
    if (some.length === 0) return { made, failed: tried.size - made }
    // Nothing to do is no request to a store.
    if (tried.size === 0) await claimSource(deps, source, store, signal)
    const input = some.map(({ inputs, piece }) => {
      return { sets: inputs.map(setInput), piece, page_count: inputs.at(-1)!.page_count }
    })
    const { made: results } = await deps.tasks.run('compact', { source, store, compactions: input }, progress, signal)
    signal.throwIfAborted()
    for (const { key } of some) tried.add(key)
    const files: ChangeSetFile[] = []
    for (const [n, result] of results.entries()) {
      if ('document_sha256' in result) files.push(result)
      else {
        const { to_at } = some[n]!.piece
        deps.log.warn({ source, to_at, error: result }, 'change sets could not be compacted')
      }
    }
    await record(deps, run, files, store)
    made += files.length
  }
}

async function record(
  { catalog }: Deps,
  run: Wish['run'],
  files: readonly ChangeSetFile[],
  store: string,
): Promise<void> {
  const cause = { service: 'backup-worker', correlation_id: run.correlation_id, causation_id: run.id } as const
  await catalog.transaction(cause, async (tx) => {
    for (const file of files) {
      const { source, base, name, to_at, size_bytes } = file
      await tx.recordChangeSet(file, store)
      const data = { source, store, base, name, to_at, size_bytes }
      await tx.publish({ type: 'change-set.stored', subject: source, data })
    }
  })
}
