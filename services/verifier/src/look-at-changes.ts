import type { ChangeFacts } from '@salvor/policy/change-line'
import { isNewestReached, provingChangeBase } from '@salvor/policy/changes-proof'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { NewEvent } from '@salvor/shared/messages/events'
import type { Commit, Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Check } from '@salvor/shared/vocabulary/verification'
import type { About, Beside } from './beside.ts'

/** Given to one task: each is a line of its input. */
const AT_ONCE = 20_000

interface Fault {
  readonly set: StoredChangeSet
  readonly missing: boolean
  readonly reason: string
}

/**
 * Looks at the change sets of a source in every store: all that the catalog knows must be there, and what was made since the backup before this one must
 * open. The catalog forgets a faulty copy, so that no restore counts on it; nothing is moved or deleted.
 */
export async function lookAtChanges(
  deps: Deps,
  facts: ChangeFacts,
  about: About,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Beside> {
  const { source, backup_id } = about
  const since = provingChangeBase(facts, backup_id)?.consistent_at ?? ''
  const checks: Check[] = []
  const faults: Fault[] = []
  for (const store of deps.settings().stores.keys()) {
    const began = deps.clock.monotonicMs()
    const add = (ok: boolean, detail: string): void => {
      const duration_ms = Math.round(deps.clock.monotonicMs() - began)
      checks.push({ name: `change sets in ${store}`, ok, detail, duration_ms })
    }
    try {
      const seen = await inspected(deps, { source, store }, since, progress, signal)
      if (seen.sets === 0) continue
      faults.push(...seen.faults)
      const [bad] = seen.faults
      if (!bad) add(true, `${seen.sets} sets are there, ${seen.decoded} of them decoded`)
      else {
        const first = `the first ${bad.set.name}: ${bad.reason}`
        add(false, `${seen.faults.length} of ${seen.sets} sets are missing or damaged, ${first}`)
      }
    } catch (thrown) {
      signal.throwIfAborted()
      // A store that does not answer says nothing about its sets, and the backup was looked at.
      const { code, message } = asSalvorError(thrown)
      deps.log.warn({ source, store, code }, 'change sets could not be looked at')
      add(true, `not looked at: ${message}`)
    }
  }
  return { checks, events: eventsOf(faults, about), commit: await commitOf(deps, faults, facts, about) }
}

async function inspected(
  { tasks, catalog }: Deps,
  place: { readonly source: string; readonly store: string },
  since: string,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<{ readonly sets: number; readonly decoded: number; readonly faults: readonly Fault[] }> {
  const faults: Fault[] = []
  let [sets, decoded] = [0, 0]
  const inspect = async (some: readonly StoredChangeSet[]): Promise<void> => {
    const asked = some.map(({ base, name, document_sha256, stored_at }) => {
      return { base, name, document_sha256, decode: stored_at >= since }
    })
    const seen = await tasks.run('inspect-changes', { ...place, sets: asked }, progress, signal)
    sets += some.length
    decoded += seen.decoded
    for (const { n, missing, reason } of seen.faults) faults.push({ set: some[n]!, missing, reason })
  }
  let some: StoredChangeSet[] = []
  for await (const set of catalog.changeSets(place)) {
    some.push(set)
    if (some.length < AT_ONCE) continue
    await inspect(some)
    some = []
  }
  if (some.length > 0) await inspect(some)
  return { sets, decoded, faults }
}

function eventsOf(faults: readonly Fault[], { source, backup_id }: About): readonly NewEvent[] {
  return [...Map.groupBy(faults, ({ set }) => set.store)].map(([store, some]): NewEvent => {
    const [{ set, reason }] = some as [Fault, ...Fault[]]
    const facts = { source, store, count: String(some.length), first: set.name, reason }
    const error = new SalvorError('CHANGES_DAMAGED', facts).toFailure()
    const data = { source, backup_id, store, what: 'verify', failures: 1, final: true, error } as const
    return { type: 'copy.failed', subject: backup_id, data }
  })
}

async function commitOf(
  deps: Deps,
  faults: readonly Fault[],
  facts: ChangeFacts,
  { source, backup_id }: About,
): Promise<Commit> {
  const bad = new Set(faults.map(({ set }) => keyOf(set)))
  const isGood = (set: StoredChangeSet): boolean => !bad.has(keyOf(set))
  const again = new Set<StoredChangeSet>()
  for (const { set, missing } of faults) {
    const same = ({ document_sha256 }: StoredChangeSet): boolean => document_sha256 === set.document_sha256
    if (missing && (await found(deps, { source, name: set.name })).some((other) => same(other) && isGood(other)))
      again.add(set)
  }
  const since = facts.sets[0]?.to_at
  const good = faults.length === 0 || since === undefined ? [] : (await found(deps, { source, since })).filter(isGood)
  const newest = await deps.catalog.lastChangeSet(source)
  return async (tx) => {
    for (const [store, some] of Map.groupBy(faults, ({ set }) => set.store))
      await tx.forgetChangeSets({ source, store, names: some.map(({ set }) => set) })
    for (const { base, name, store } of again) {
      const unique_key = `replicate-again/${backup_id}/${store}/${name}`
      await tx.enqueue({ job: 'replicate-changes', source, params: { source, base, name }, unique_key })
    }
    const settings = deps.settings().sources.get(source)
    if (faults.length === 0 || settings?.changes === undefined || newest === null) return
    if (isNewestReached({ ...facts, sets: good }, [newest])) return
    // What the stream stores next stands on a state that does not come back: a backup carries it.
    const { pool, config_hash } = settings
    const params = { source, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null } as const
    const unique_key = `after-damage/${source}/${backup_id}`
    await tx.enqueue({ job: 'take-backup', source, pool, config_hash, unique_key, params })
  }
}

function keyOf({ store, base, name }: StoredChangeSet): string {
  return `${store}/${base}/${name}`
}

async function found(
  { catalog }: Deps,
  filter: Parameters<Deps['catalog']['changeSets']>[0],
): Promise<StoredChangeSet[]> {
  const sets: StoredChangeSet[] = []
  for await (const set of catalog.changeSets(filter)) sets.push(set)
  return sets
}
