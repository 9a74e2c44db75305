import type { SourceProbe } from '@salvor/shared/ports/engine'
import { assertLocalDisk, findDatabase, type Site } from './site.ts'
import { journalNotice } from './snapshot.ts'
import { sourceFailure } from './sqlite-failure.ts'
import { startSqlite } from './sqlite-process.ts'

/** Looks at the source in a process of its own, so that a service never has a live database open itself. */
export async function probeSource(site: Site, signal: AbortSignal): Promise<SourceProbe> {
  const found = await findDatabase(site)
  const { source, scratch_dir: scratch } = site.context
  const lock_wait_ms = site.limits.lock_wait_ms
  const failure = sourceFailure({ source, what: site.path, waited_ms: lock_wait_ms, scratch })
  await using sqlite = startSqlite({ task: 'probe', path: found.path, lock_wait_ms }, { scratch, signal, failure })
  const { facts, size } = await sqlite.next('probed')
  const wal = facts.journal_mode === 'wal'
  assertLocalDisk(found, wal, source)
  return {
    version: facts.sqlite_version,
    source_db: site.path,
    size_bytes: Math.max(size, facts.page_size * facts.page_count),
    notices: wal ? found.notices : [...found.notices, journalNotice(null)],
  }
}
