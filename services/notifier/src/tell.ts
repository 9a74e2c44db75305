import { recipients, severityOf, type Recipient } from '@salvor/policy/routes'
import type { IncidentChange } from '@salvor/policy/incidents'
import type { SalvorEvent } from '@salvor/shared/messages/events'
import type { NewRun } from '@salvor/shared/ports/catalog'
import type { Commit, Deps } from '@salvor/shared/ports/service'
import { describe } from './describe.ts'
import { incidentChanges } from './incident-changes.ts'

type Send = NewRun<'send-notification'>

/**
 * Opens and ends incidents and makes one `send-notification` run for each channel that a route names, all in the
 * transaction that takes the event out of the inbox: a channel that is down delays its own messages only.
 */
export async function tell(event: SalvorEvent, deps: Deps): Promise<Commit | null> {
  const changes = await incidentChanges(event, deps.catalog)
  const sends = sendsFor(event, changes, deps)
  if (changes.length === 0 && sends.length === 0) return null
  const { title } = describe(event, { severity: severityOf(event), incident: null }, { backup: null, lastGood: null })
  return async (tx) => {
    for (const { key, change } of changes) {
      if (change === 'open') await tx.openIncident(key, event.data.source, title)
      else await tx.resolveIncident(key)
    }
    for (const send of sends) await tx.enqueue(send)
  }
}

function sendsFor(event: SalvorEvent, changes: readonly IncidentChange[], deps: Deps): readonly Send[] {
  const sends = new Map<string, Send>()
  // A channel that speaks of incidents only is told of each; the others are told of the event, once.
  for (const change of changes.length > 0 ? changes : [null])
    for (const recipient of recipients(deps.settings().routes, event, change)) {
      const count = [...sends.values()].filter(({ params }) => params.channel === recipient.channel).length
      if (count > 0 && wants(deps, event, recipient, null)) continue
      if (!wants(deps, event, recipient, change)) continue
      const send = sendOf(event, recipient, change, count)
      sends.set(send.unique_key!, send)
    }
  return [...sends.values()]
}

function wants(
  deps: Deps,
  event: SalvorEvent,
  { channel, severity }: Recipient,
  change: IncidentChange | null,
): boolean {
  const incident = change && { key: change.key, change: change.change }
  try {
    return deps.channel(channel).wants(describe(event, { severity, incident }, { backup: null, lastGood: null }))
  } catch (error) {
    // One channel that cannot be opened must not silence the others; its own run will say what is wrong with it.
    deps.log.warn({ channel, error }, 'a channel cannot be asked what it wants')
    return true
  }
}

function sendOf(
  event: SalvorEvent,
  { channel, severity }: Recipient,
  change: IncidentChange | null,
  nth: number,
): Send {
  const incident = change ? { incident: { key: change.key, change: change.change } } : {}
  return {
    job: 'send-notification',
    source: event.data.source,
    params: { event_id: event.id, channel, severity, ...incident },
    unique_key: `${event.id}/${channel}${nth === 0 ? '' : `/${nth}`}`,
  }
}
