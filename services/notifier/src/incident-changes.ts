import { incidentOpenedBy, incidentsEndedBy, isHeldOpen, isOver, type IncidentChange } from '@salvor/policy/incidents'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SalvorEvent } from '@salvor/shared/messages/events'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'

/**
 * An incident is younger than the failure that opened it by the time its event was under way. One that opened later than
 * this after a success belongs to a later failure, and an old success does not end it.
 */
const UNDER_WAY_MS = 60_000

/** What an event does to the incidents, going by the rows as they are now. */
export async function incidentChanges(event: SalvorEvent, catalog: Catalog): Promise<readonly IncidentChange[]> {
  const opened = incidentOpenedBy(event)
  if (opened) return isOver(event, await concerned(event, catalog)) ? [] : [opened]
  const ended = incidentsEndedBy(event)
  if (ended.length === 0) return []
  const open = await catalog.openIncidents()
  const possible = ended.filter((change) =>
    open.some((incident) => incident.key === change.key && elapsedMs(event.time, incident.opened_at) <= UNDER_WAY_MS),
  )
  if (possible.length === 0) return []
  const backups = await catalog.backups({ source: event.data.source })
  return possible.filter((change) => !isHeldOpen(event, change, backups))
}

async function concerned(event: SalvorEvent, catalog: Catalog): Promise<readonly BackupWithCopies[]> {
  if (event.type === 'backup.failed') return catalog.backups({ source: event.data.source, limit: 20 })
  const backup = await namedBackup(event, catalog)
  return backup ? [backup] : []
}

/** The backup that an event names; null where it names none, or one that is gone. */
export async function namedBackup(event: SalvorEvent, catalog: Catalog): Promise<BackupWithCopies | null> {
  const id = 'backup_id' in event.data ? event.data.backup_id : null
  if (id === null) return null
  try {
    return await catalog.backup(id)
  } catch (error) {
    if (error instanceof SalvorError && error.code === 'BACKUP_UNKNOWN') return null
    throw error
  }
}
