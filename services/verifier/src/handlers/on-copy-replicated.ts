import { levelForReplica } from '@salvor/policy/verification'
import type { EventHandler } from '@salvor/shared/ports/service'

/** A copy made by the replicator is read again by another identity, as `verify.replicas` says. */
export const onCopyReplicated: EventHandler<'copy.replicated'> = async (event, deps) => {
  const { source, backup_id, store } = event.data
  const settings = deps.settings().sources.get(source)
  const level = settings ? levelForReplica(settings.verify) : 'checksum'
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
