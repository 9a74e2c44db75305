import { possibleParents, whyNoParent } from '@salvor/policy/chain'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'

/** Runs whose results are looked through for a mark. */
const RUNS_LOOKED_AT = 10
/** Enough to find the newest that can carry an incremental behind pre_restore and corrupt ones. */
const BACKUPS_LOOKED_AT = 50

/** What a run leaves in its result for the next: `backup_id` holds the state that had this mark, or one that was not changed since. */
export interface KnownState {
  readonly backup_id: string
  readonly state_mark: string | null
}

/** The mark of the present state, taken before the snapshot that it is kept with. Null: none to be had. */
export async function markState(deps: Deps, source: SourceSettings): Promise<string | null> {
  try {
    return (await deps.engine(source.name).stateMark?.()) ?? null
  } catch {
    // A source that cannot be opened is told of by the backup itself.
    return null
  }
}

/**
 * The backup that an incremental would stand on now, with the marks that its state had: a source that shows one of them is as it was
 * then, and nothing is to be done. Asks the catalog only: no store, no lease, no process. Null: there is no such backup.
 */
export async function knownState(
  deps: Deps,
  source: SourceSettings,
): Promise<{ readonly backup_id: string; readonly marks: ReadonlySet<string> } | null> {
  const ended = { jobs: ['take-backup'], states: ['succeeded'], source: source.name, limit: RUNS_LOOKED_AT } as const
  const [backups, runs] = await Promise.all([
    deps.catalog.backups({ source: source.name, limit: BACKUPS_LOOKED_AT }),
    deps.catalog.runs(ended),
  ])
  const [parent] = possibleParents(backups)
  if (!parent || whyNoParent(await deps.catalog.chain(parent.id), source) !== null) return null
  const results = runs.map(({ result }) => (result ?? {}) as Partial<KnownState>)
  const marks = results.flatMap(({ backup_id, state_mark }) =>
    backup_id === parent.id && state_mark ? [state_mark] : [],
  )
  return { backup_id: parent.id, marks: new Set(marks) }
}
