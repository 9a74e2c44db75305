import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** A backup is complete: told, and the failing of backups before it is over. */
export const onBackupCompleted: EventHandler<'backup.completed'> = (event, deps) => tell(event, deps)

/** An attempt failed: told, and an incident once it failed twice or for good. */
export const onBackupFailed: EventHandler<'backup.failed'> = (event, deps) => tell(event, deps)
