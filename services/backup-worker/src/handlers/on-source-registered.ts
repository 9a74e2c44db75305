import type { EventHandler } from '@salvor/shared/ports/service'
import { planFirstBackup } from '../first-backup.ts'

/** A new source is backed up at once. */
export const onSourceRegistered: EventHandler<'source.registered'> = async (event, deps) => {
  const source = deps.settings().sources.get(event.data.source)
  return source ? planFirstBackup(deps, source) : null
}
