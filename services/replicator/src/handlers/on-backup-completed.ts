import type { EventHandler } from '@salvor/shared/ports/service'

/** A new backup is copied to the other stores of its rule. */
export const onBackupCompleted: EventHandler<'backup.completed'> = async (event) => async (tx) => {
  const { source, backup_id } = event.data
  await tx.enqueue({ job: 'replicate-copy', source, params: { backup_id }, unique_key: `replicate/${event.id}` })
}
