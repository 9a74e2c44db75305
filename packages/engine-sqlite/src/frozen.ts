import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ReportOf } from './child/messages.ts'
import { sizeFault } from './header.ts'
import { assertUnchanged, openRaw, type RawFile } from './raw-file.ts'
import { instantOfTicks } from './site.ts'
import { pushRaw, type Pushed, type Work } from './route.ts'
import { watchWal } from './wal-watch.ts'

/** The main route: the main file stands still and is read as it is, while writers go on in the write-ahead log. */
export async function pushFrozen(start: ReportOf<'frozen'>, work: Work): Promise<Pushed> {
  const { site, found, sqlite } = work
  const { facts } = start
  const bytes = facts.page_size * facts.page_count
  const consistent_at = instantOfTicks(start.at, site.context.now)
  using watch = await watchWal(found.path, site.limits.wal_bytes, site.context.source)
  const raw = await openFrozen(start, work)
  site.context.progress({ phase: 'copy', done_bytes: 0, total_bytes: bytes })
  const pushed = pushRaw(raw, facts, work)
  pushed.catch(() => undefined)
  const state = await Promise.race([pushed, sqlite.ended, watch.exceeded])
  await assertUnchanged(raw.stat, found.path, site.context.source)
  sqlite.tell({ command: 'release' })
  await sqlite.next('released')
  site.context.progress({ phase: 'copy', done_bytes: bytes, total_bytes: bytes })
  const route = {
    route: 'freeze' as const,
    facts,
    consistent_at,
    lock_ms: start.lock_ms,
    attempts: start.attempts,
    restarts: 0,
    wal_grown_bytes: await watch.grown(),
  }
  return { route, state }
}

/** The file that is read must be the very one that is held, and look as the holder says. */
async function openFrozen({ facts, file }: ReportOf<'frozen'>, { site, found }: Work): Promise<RawFile> {
  const { source } = site.context
  const raw = await openRaw(found.path).catch((error: unknown) => {
    throw new SalvorError('SOURCE_CHANGED', { source }, error)
  })
  try {
    const same = raw.stat.ino === file.ino && raw.stat.dev === file.dev && raw.header?.page_size === facts.page_size
    if (!same) throw new SalvorError('SOURCE_CHANGED', { source })
    const reason = sizeFault(Number(raw.stat.size), facts.page_size, facts.page_count)
    if (reason) throw new SalvorError('SOURCE_DAMAGED', { source, reason })
    return raw
  } catch (error) {
    await raw.handle.close()
    throw error
  }
}
