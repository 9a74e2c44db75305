import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

export const onRestoreCompleted: EventHandler<'restore.completed'> = (event, deps) => tell(event, deps)

/** Whoever restores has reason to: a failure is an incident at once. */
export const onRestoreFailed: EventHandler<'restore.failed'> = (event, deps) => tell(event, deps)
