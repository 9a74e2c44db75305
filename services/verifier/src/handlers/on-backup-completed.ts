import { levelForBackup } from '@salvor/policy/verification'
import type { EventHandler } from '@salvor/shared/ports/service'

/** The first copy of a new backup is verified as the source's `verify` says. */
export const onBackupCompleted: EventHandler<'backup.completed'> = async (event, deps) => {
  const { source, backup_id, store, retention_class } = event.data
  const settings = deps.settings().sources.get(source)
  const level = settings ? levelForBackup(settings.verify, retention_class) : 'decode'
  if (level === null) return null
  return async (tx) => {
    await tx.enqueue({
      job: 'verify-copy',
      source,
      params: { backup_id, store, level },
      unique_key: `verify/${event.id}`,
    })
  }
}
