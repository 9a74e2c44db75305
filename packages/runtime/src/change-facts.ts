import type { ChangeBase, ChangeFacts } from '@salvor/policy/change-line'
import type { ChangesPlan } from '@salvor/policy/changes-plan'
import { bestCopies } from '@salvor/policy/copies'
import type { Deps } from '@salvor/shared/ports/service'
import type { ChangesInput } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'

/** Whether a point in time of this source is reached by change sets, and not by a log that its server replays. */
export async function hasChangeSets(deps: Deps, source: string): Promise<boolean> {
  const isFollowed = deps.settings().sources.get(source)?.streams === 'changes'
  return isFollowed || (await deps.catalog.lastChangeSet(source)) !== null
}

/** What a source can be restored to, by the catalog alone, without its change sets. */
export async function carriersOf(deps: Deps, source: string): Promise<Omit<ChangeFacts, 'sets'>> {
  const stream = (await deps.catalog.changeStreams()).find((state) => state.source === source) ?? null
  return { bases: await basesOf(deps, source), stream }
}

/** Of the instants that sets bring: from `since` on, and before `until`. */
export interface ChangeRange {
  readonly since?: Instant
  readonly until?: Instant
}

/** Each set once, from `from` or the first store of the configuration that has it. */
export async function changeSetsOf(
  deps: Deps,
  source: string,
  from: string | null,
  range: ChangeRange = {},
): Promise<readonly StoredChangeSet[]> {
  const choice = choiceOf(deps, from)
  for await (const set of deps.catalog.changeSets({ source, ...range })) choice.take(set)
  return choice.chosen()
}

/** The same, by days of UTC: so many as a week may have are never in memory at once. */
export async function* changeSetsByDay(
  deps: Deps,
  source: string,
  from: string | null,
): AsyncGenerator<readonly StoredChangeSet[]> {
  let choice = choiceOf(deps, from)
  let day = ''
  for await (const set of deps.catalog.changeSets({ source })) {
    const its = set.to_at.slice(0, 10)
    if (its !== day) {
      yield choice.chosen()
      choice = choiceOf(deps, from)
      day = its
    }
    choice.take(set)
  }
  yield choice.chosen()
}

function choiceOf(deps: Deps, from: string | null) {
  const order = [...(from === null ? [] : [from]), ...deps.settings().stores.keys()]
  const rank = ({ store }: StoredChangeSet): number => order.indexOf(store)
  const sets = new Map<string, StoredChangeSet>()
  return {
    take(set: StoredChangeSet): void {
      if (rank(set) === -1) return
      const there = sets.get(set.document_sha256)
      if (!there || rank(set) < rank(there)) sets.set(set.document_sha256, set)
    },
    chosen(): readonly StoredChangeSet[] {
      const all = [...sets.values()]
      if (from === null) return all
      // A store that is to serve alone is not helped by a shorter way through another one.
      const there = new Set(all.filter(({ store }) => store === from).map(stateOf))
      const isDetour = (set: StoredChangeSet): boolean => set.store !== from && set.brings_state_of !== null
      return all.filter((set) => !isDetour(set) || !there.has(stateOf(set)))
    },
  }
}

/** Backups that can be read, with what they stand on. */
async function basesOf(deps: Deps, source: string): Promise<readonly ChangeBase[]> {
  const backups = (await deps.catalog.backups({ source })).filter(({ type }) => type !== 'pre_restore')
  const byId = new Map(backups.map((backup) => [backup.id, backup]))
  const isReadable = (backup: BackupWithCopies): boolean => {
    if (bestCopies(backup.copies).length === 0) return false
    if (backup.parent === null) return true
    const parent = byId.get(backup.parent)
    return parent !== undefined && isReadable(parent)
  }
  return backups.filter(isReadable).map(({ id: backup_id, consistent_at }) => ({ backup_id, consistent_at }))
}

/** What a task needs to carry out a plan. */
export function changesInput({ sets, recovers_to }: ChangesPlan): ChangesInput {
  return { recovers_to, sets: sets.map(setInput) }
}

/** What a task needs to read a set. */
export function setInput(set: StoredChangeSet): ChangesInput['sets'][number] {
  const { store, base, name, document_sha256, to_at, state_sha256 } = set
  return { store, base, name, document_sha256, to_at, state_sha256 }
}
