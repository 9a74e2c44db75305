import { provingChangeBase } from '@salvor/policy/changes-proof'
import { carriersOf } from '@salvor/runtime/change-facts'
import { changeFactsSince } from '@salvor/runtime/plan-changes-of'
import { gatherRecoveryFacts } from '@salvor/runtime/recovery-facts'
import { provingBase } from '@salvor/policy/recovery-proof'
import type { NewEvent } from '@salvor/shared/messages/events'
import type { Commit, Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Check, VerificationLevel } from '@salvor/shared/vocabulary/verification'
import { lookAtChanges } from './look-at-changes.ts'
import { lookAtWal } from './look-at-wal.ts'
import { proveChanges } from './prove-changes.ts'
import { proveRecovery } from './prove-recovery.ts'
import type { Recovered } from './recovery-check.ts'

/** The copy that was looked at. */
export interface About {
  readonly source: string
  readonly backup_id: string
  readonly store: string
}

/** What was seen besides the copy itself. */
export interface Beside {
  readonly checks: readonly Check[]
  /** What there is to be told; empty: nothing. */
  readonly events: readonly NewEvent[]
  readonly commit: Commit
}

const NOTHING: Beside = { checks: [], events: [], commit: async () => undefined }

/** With the newest backup of a source whose WAL or change sets are stored, those are looked at, too. */
export async function lookBeside(
  deps: Deps,
  about: About,
  reached: VerificationLevel,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Beside> {
  const streams = deps.settings().sources.get(about.source)?.streams
  if (reached === 'checksum' || streams === undefined) return NOTHING
  const beside = streams === 'wal' ? besideWal : besideChanges
  return await beside(deps, about, reached, progress, signal)
}

const besideWal: typeof lookBeside = async (deps, about, reached, progress, signal) => {
  const facts = await gatherRecoveryFacts(deps, about.source, null, signal)
  if (facts.wal.length === 0 || provingBase(facts, about.backup_id) === null) return NOTHING
  const wal = await lookAtWal(deps, facts, about, progress, signal)
  // A recovery over what is known to be damaged proves nothing more.
  if (reached !== 'restore' || wal.events.length > 0) return wal
  return withProof(wal, await proveRecovery(deps, facts, about, progress, signal))
}

const besideChanges: typeof lookBeside = async (deps, about, reached, progress, signal) => {
  if ((await deps.catalog.lastChangeSet(about.source)) === null) return NOTHING
  const base = provingChangeBase(await carriersOf(deps, about.source), about.backup_id)
  if (base === null) return NOTHING
  const facts = await changeFactsSince(deps, about.source, base.consistent_at)
  const changes = await lookAtChanges(deps, facts, about, progress, signal)
  if (reached !== 'restore' || changes.events.length > 0) return changes
  return withProof(changes, await proveChanges(deps, facts, about, progress, signal))
}

function withProof(seen: Beside, recovered: Recovered | null): Beside {
  if (!recovered) return seen
  const { check, events, proof } = recovered
  const commit: Commit = async (tx) => {
    await seen.commit(tx)
    if (proof) await tx.recordRecoveryProof(proof)
  }
  return { checks: [...seen.checks, check], events, commit }
}
