import type { ChangeFacts } from '@salvor/policy/change-line'
import { changesToProve } from '@salvor/policy/changes-proof'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { changesInput } from '@salvor/runtime/change-facts'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { About } from './beside.ts'
import { recoveryCheck, type Recovered } from './recovery-check.ts'

/**
 * Restores the source in a sandbox to the latest instant that its change sets reach, from the backup before this one: so each stretch between two backups
 * is laid over once, by the sets that a restore takes. Null: there are none.
 */
export async function proveChanges(
  deps: Deps,
  facts: ChangeFacts,
  about: About,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Recovered | null> {
  const { source } = about
  const plan = changesToProve(facts, source, about.backup_id)
  if (!plan) return null
  const name = 'recovery to the latest instant'
  const recovery = { name, about, base_id: plan.backup_id, target_at: plan.recovers_to, timeline: null }
  return await recoveryCheck(deps, recovery, signal, async () => {
    const chain = chainAddresses(await deps.catalog.chain(plan.backup_id), null)
    const changes = changesInput(plan)
    const { checks } = await deps.tasks.run('prove', { source, chain, changes }, progress, signal)
    return {
      checks,
      reached: null,
      way: `${chain.at(-1)?.filename} and ${plan.sets.length} change sets, to ${plan.recovers_to}`,
    }
  })
}
