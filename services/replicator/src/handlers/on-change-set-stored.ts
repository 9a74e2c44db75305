import { changeStores } from '@salvor/policy/copies'
import type { EventHandler } from '@salvor/shared/ports/service'

/** A change set is copied to the other stores of its rule; where there is none, nothing is planned. */
export const onChangeSetStored: EventHandler<'change-set.stored'> = async (event, deps) => {
  const { source, base, name, store } = event.data
  const rules = deps.settings().sources.get(source)
  if (!rules || changeStores(rules).every((other) => other === store)) return null
  const params = { source, base, name }
  return async (tx) => {
    await tx.enqueue({ job: 'replicate-changes', source, params, unique_key: `replicate/${event.id}` })
  }
}
