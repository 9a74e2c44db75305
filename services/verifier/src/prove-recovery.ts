import { recoveryToProve } from '@salvor/policy/recovery-proof'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { recoveryInput, type GatheredFacts } from '@salvor/runtime/recovery-facts'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { About, Beside } from './beside.ts'
import { recoveryCheck } from './recovery-check.ts'

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
): Promise<Pick<Beside, 'checks' | 'events'> | null> {
  const { source } = about
  const plan = recoveryToProve(facts, source, about.backup_id)
  if (!plan) return null
  return await recoveryCheck(deps, about, plan.recovers_to, signal, async () => {
    const chain = chainAddresses(await deps.catalog.chain(plan.backup_id), null)
    const recovery = recoveryInput(plan, facts, false)
    const { checks, reached } = await deps.tasks.run('prove', { source, chain, recovery }, progress, signal)
    const to = `to ${reached?.last_commit_at ?? plan.recovers_to} (${reached?.lsn ?? 'no position'})`
    return { checks, way: `${chain.at(-1)?.filename} and ${plan.pieces.length} pieces of WAL, ${to}` }
  })
}
