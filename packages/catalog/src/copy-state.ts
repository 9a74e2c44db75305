import type { BackupState, CopyState } from '@salvor/shared/vocabulary/backup'
import type { VerificationLevel } from '@salvor/shared/vocabulary/verification'

const STRENGTH: Readonly<Record<CopyState, number>> = { pending: -1, corrupt: 0, completed: 1, verified: 2, proven: 3 }

/** What a copy is known to be when the level has passed. */
const REACHED: Readonly<Record<VerificationLevel, 'completed' | 'verified' | 'proven'>> = {
  checksum: 'completed',
  decode: 'verified',
  restore: 'proven',
}

/**
 * State of a copy after somebody looked at it. A good look never weakens it, and clears `corrupt`; a bad one makes it
 * `corrupt`. A copy that is not there yet can't be bad: it stays wanted, so that it will still be made.
 */
export function copyStateAfter(present: CopyState, level: VerificationLevel, ok: boolean): CopyState {
  if (!ok) return present === 'pending' ? 'pending' : 'corrupt'
  const reached = REACHED[level]
  return STRENGTH[reached] > STRENGTH[present] ? reached : present
}

/** State of a backup from its copies: the strongest good one; without a good one `corrupt` if any is; else as before. */
export function backupStateOf(present: BackupState, copies: readonly CopyState[]): BackupState {
  const there = copies.filter((state) => state !== 'pending')
  return there.reduce<BackupState | null>(stronger, null) ?? present
}

function stronger(best: BackupState | null, state: BackupState): BackupState {
  return best === null || STRENGTH[state] > STRENGTH[best] ? state : best
}
