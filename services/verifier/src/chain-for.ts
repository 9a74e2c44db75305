import { addressIn, chainAddresses } from '@salvor/runtime/chain-addresses'
import type { Deps } from '@salvor/shared/ports/service'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { VerificationLevel } from '@salvor/shared/vocabulary/verification'

/** The copy that is asked about as it is, however bad it is known to be; what it stands on from the best copies. */
export async function chainFor(
  deps: Deps,
  backup: BackupWithCopies,
  store: string,
  level: VerificationLevel,
): Promise<readonly CopyAddress[]> {
  if (level !== 'restore' || backup.parent === null) return [addressIn(backup, store)]
  const below = await deps.catalog.chain(backup.parent)
  return [...chainAddresses(below, null), addressIn(backup, store)]
}
