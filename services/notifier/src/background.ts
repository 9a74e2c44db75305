import type { EventType, SalvorEvent } from '@salvor/shared/messages/events'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { Background } from './describe.ts'
import { namedBackup } from './incident-changes.ts'

/** Bad ones in a row before "last good" says none. */
const LOOK_BACK = 200
const NEED_LAST_GOOD: ReadonlySet<EventType> = new Set(['backup.failed', 'copy.corrupt', 'source.vanished'])

/** What a person wants to know beyond the event: the file, the other copies, and how far back a restore would go. */
export async function background(event: SalvorEvent, catalog: Catalog): Promise<Background> {
  const backup = await namedBackup(event, catalog)
  if (!NEED_LAST_GOOD.has(event.type)) return { backup, lastGood: null }
  const newest = await catalog.backups({ source: event.data.source, limit: LOOK_BACK })
  return { backup, lastGood: newest.find(({ state }) => state !== 'corrupt') ?? null }
}
