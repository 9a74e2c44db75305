import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** A file is gone: told, and what failed about it is over. */
export const onSourceVanished: EventHandler<'source.vanished'> = (event, deps) => tell(event, deps)
