import { copiesToRead } from '@salvor/policy/chain'
import { manifestKeyOf } from '@salvor/repository/layout'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** Where to read each backup of a chain, in its order; the last one only from `store`, if one is named. NO_GOOD_COPY. */
export function chainAddresses(chain: readonly BackupWithCopies[], store: string | null): readonly CopyAddress[] {
  const copies = copiesToRead(chain, store)
  return chain.map((backup, i) => {
    const copy = copies[i]
    if (!copy) throw new SalvorError('NO_GOOD_COPY', { backup: backup.id })
    return addressIn(backup, i === chain.length - 1 ? (store ?? copy.store) : copy.store)
  })
}

/** One copy, whatever is known of it: to be looked at. */
export function addressIn(backup: BackupWithCopies, store: string): CopyAddress {
  const { id: backup_id, filename, manifest_sha256 } = backup
  return { backup_id, filename, store, manifest_key: manifestKeyOf(backup), manifest_sha256 }
}
