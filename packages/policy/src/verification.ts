import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { VerificationLevel } from '@salvor/shared/vocabulary/verification'

export interface VerifyRules {
  readonly full: VerificationLevel | 'none'
  readonly incremental: VerificationLevel | 'none'
  readonly replicas: VerificationLevel | 'none'
}

/** How the first copy of a new backup is verified: monthly and longer-kept ones are fulls. */
export function levelForBackup(rules: VerifyRules, retentionClass: RetentionClass): VerificationLevel | null {
  const level = retentionClass === 'incremental' ? rules.incremental : rules.full
  return level === 'none' ? null : level
}

/** How a copy made by the replicator is verified. */
export function levelForReplica(rules: VerifyRules): VerificationLevel | null {
  return rules.replicas === 'none' ? null : rules.replicas
}
