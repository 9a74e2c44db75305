import { walStores } from '@salvor/policy/copies'
import type { EventHandler } from '@salvor/shared/ports/service'

/** A piece of WAL is copied to the other stores of its rule; where there is none, nothing is planned. */
export const onWalSegmentStored: EventHandler<'wal-segment.stored'> = async (event, deps) => {
  const { source, name, store } = event.data
  const rules = deps.settings().sources.get(source)
  if (!rules || walStores(rules).every((other) => other === store)) return null
  return async (tx) => {
    await tx.enqueue({ job: 'replicate-wal', source, params: { source, name }, unique_key: `replicate/${event.id}` })
  }
}
