import type { EventHandler } from '@salvor/shared/ports/service'
import { tell } from '../tell.ts'

/** WAL is lost for good: no recovery crosses the gap. */
export const onWalGap: EventHandler<'wal-gap.detected'> = (event, deps) => tell(event, deps)

/** The WAL is not streamed: an incident until it is. */
export const onWalFailed: EventHandler<'wal-stream.failed'> = (event, deps) => tell(event, deps)

export const onWalRecovered: EventHandler<'wal-stream.recovered'> = (event, deps) => tell(event, deps)
