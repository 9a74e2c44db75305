import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** An instant came back from what is stored; that one did not is over. */
export const onRecoveryProven: EventHandler<'recovery.proven'> = (event, deps) => tell(event, deps)
