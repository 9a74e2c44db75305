import type { Commit, Deps, SourceSettings } from '@salvor/shared/ports/service'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'

/** By then it is compacted. */
const EXPIRY_WAITS_MS = 3600_000

/** Once a day for each source with change sets: what nobody compacted yet, and what is not kept any more. */
export async function planChanges(deps: Deps, now: Instant): Promise<Commit> {
  const followed = [...deps.settings().sources.values()].filter(({ streams }) => streams === 'changes')
  const having: SourceSettings[] = []
  for (const source of followed) if ((await deps.catalog.lastChangeSet(source.name)) !== null) having.push(source)
  const day = now.slice(0, 10)
  return async (tx) => {
    for (const { name: source, pool } of having) {
      const params = { source, whole: true }
      await tx.enqueue({ job: 'compact-changes', source, pool, unique_key: `compact/${source}/all/${day}`, params })
      const later = { unique_key: `expire/${source}/${day}`, not_before: shifted(now, EXPIRY_WAITS_MS) }
      await tx.enqueue({ job: 'expire-changes', source, params: { source }, ...later })
    }
  }
}
