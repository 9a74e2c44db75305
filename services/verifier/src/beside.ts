import { gatherRecoveryFacts } from '@salvor/runtime/recovery-facts'
import { provingBase } from '@salvor/policy/recovery-proof'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { VerificationLevel } from '@salvor/shared/vocabulary/verification'
import { lookAtWal, type Beside } from './look-at-wal.ts'
import { proveRecovery } from './prove-recovery.ts'

const NOTHING: Beside = { checks: [], events: [], commit: async () => undefined }

/** With the newest backup of a source whose WAL is stored, that WAL is looked at, too. */
export async function lookBeside(
  deps: Deps,
  about: { readonly source: string; readonly backup_id: string; readonly store: string },
  reached: VerificationLevel,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Beside> {
  const { source, backup_id } = about
  if (reached === 'checksum' || deps.settings().sources.get(source)?.streams !== 'wal') return NOTHING
  const facts = await gatherRecoveryFacts(deps, source, null, signal)
  if (facts.wal.length === 0 || provingBase(facts, backup_id) === null) return NOTHING
  const wal = await lookAtWal(deps, facts, about, progress, signal)
  // A recovery over what is known to be damaged proves nothing more.
  if (reached !== 'restore' || wal.events.length > 0) return wal
  const proof = await proveRecovery(deps, facts, about, progress, signal)
  if (!proof) return wal
  return { ...wal, checks: [...wal.checks, ...proof.checks], events: proof.events }
}
