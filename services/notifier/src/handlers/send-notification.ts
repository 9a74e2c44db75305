import { severityOf } from '@salvor/policy/routes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps, JobHandler, JobOutcome } from '@salvor/shared/ports/service'
import { elapsedMs, shifted } from '@salvor/shared/vocabulary/instant'
import { background } from '../background.ts'
import { describe } from '../describe.ts'
import { spreadMs } from '../spread.ts'

/** A receiver may ask to wait again and again; after a day its asking counts as failing. */
const PATIENCE_MS = 24 * 3_600_000

/**
 * Sends one message to one channel. Two attempts at one run never send at the same time, and a run that ended is never
 * run again. A process that dies after the receiver took the message and before the run ended sends it once more: an
 * alert twice is better than none. PagerDuty folds the two into one page (dedup key); Slack shows both.
 */
export const sendNotification: JobHandler<'send-notification'> = {
  async handle(run, deps, signal) {
    const { event_id, channel, severity, incident } = run.params
    const event = await deps.catalog.event(event_id)
    if (!event)
      throw new SalvorError('MESSAGE_INVALID', { what: `Event ${event_id}`, reason: 'it is not in the catalog' })
    const decided = { severity: severity ?? severityOf(event), incident: incident ?? null }
    const notification = describe(event, decided, await background(event, deps.catalog))
    try {
      await deps.channel(channel).send(notification, signal)
    } catch (error) {
      return await waitAsAsked(run, error, deps)
    }
    return { result: { channel, title: notification.title } }
  },
}

/** A receiver that names a time gets its message then, and the wait is no failure. Everything else is the retry policy's. */
async function waitAsAsked(run: JobRun<'send-notification'>, error: unknown, deps: Deps): Promise<JobOutcome> {
  const seconds = error instanceof SalvorError && error.retryable ? Number(error.facts.seconds) : Number.NaN
  if (!(seconds > 0)) throw error
  const { channel } = run.params
  const now = await deps.catalog.now()
  if (elapsedMs(run.created_at, now) > PATIENCE_MS)
    throw new SalvorError('CHANNEL_FAILED', { channel, reason: 'for a day it has only asked to wait' }, error)
  deps.log.info({ run_id: run.id, channel, seconds }, 'the receiver asks to wait')
  return { again: shifted(now, seconds * 1000 + spreadMs(run.id, run.attempt)) }
}
