import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** A copy arrived; the store takes copies again. */
export const onCopyReplicated: EventHandler<'copy.replicated'> = (event, deps) => tell(event, deps)

/** A copy was looked at and is good; an incident ends where no other copy keeps it open. */
export const onCopyVerified: EventHandler<'copy.verified'> = (event, deps) => tell(event, deps)

/** A copy does not hold what it should: always an incident. */
export const onCopyCorrupt: EventHandler<'copy.corrupt'> = (event, deps) => tell(event, deps)

/** A copy could not be made or looked at: an incident once Salvor has given up. */
export const onCopyFailed: EventHandler<'copy.failed'> = (event, deps) => tell(event, deps)
