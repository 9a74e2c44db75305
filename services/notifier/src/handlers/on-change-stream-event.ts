import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** The changes of a source are not followed: an incident until they are. */
export const onChangeStreamFailed: EventHandler<'change-stream.failed'> = (event, deps) => tell(event, deps)

export const onChangeStreamRecovered: EventHandler<'change-stream.recovered'> = (event, deps) => tell(event, deps)
