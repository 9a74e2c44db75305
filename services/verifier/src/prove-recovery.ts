import type { RecoveryPlan } from '@salvor/policy/recovery-plan'
import { recoveryToProve } from '@salvor/policy/recovery-proof'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { recoveryInput, type GatheredFacts } from '@salvor/runtime/recovery-facts'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { About } from './beside.ts'
import { recoveryCheck, type Attempt, type Recovered } from './recovery-check.ts'

/**
 * Recovers the source in a sandbox to the latest instant that its stored WAL reaches, from the backup before this one: so each
 * stretch of WAL between two backups is replayed once. Null: there is no WAL to replay.
 */
export async function proveRecovery(
  deps: Deps,
  facts: GatheredFacts,
  about: About,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Recovered | null> {
  const plan = recoveryToProve(facts, about.source, about.backup_id)
  if (!plan) return null
  const name = 'recovery to the latest instant'
  const recovery = { name, about, base_id: plan.backup_id, target_at: plan.recovers_to, timeline: plan.timeline }
  return await recoveryCheck(deps, recovery, signal, () =>
    recovered(deps, about.source, { plan, facts }, progress, signal),
  )
}

/** Restores the backup of a plan, replays its WAL and looks at what came back. */
export async function recovered(
  deps: Deps,
  source: string,
  { plan, facts }: { readonly plan: RecoveryPlan; readonly facts: GatheredFacts },
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Attempt> {
  const chain = chainAddresses(await deps.catalog.chain(plan.backup_id), null)
  const recovery = recoveryInput(plan, facts, false)
  const { checks, reached } = await deps.tasks.run('prove', { source, chain, recovery }, progress, signal)
  const to = `to ${reached?.last_commit_at ?? plan.recovers_to} (${reached?.lsn ?? 'no position'})`
  return { checks, reached, way: `${chain.at(-1)?.filename} and ${plan.pieces.length} pieces of WAL, ${to}` }
}
