import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { assertNotInUse } from './in-use.ts'
import { assertUnchanged, openRaw, pushFile } from './raw-file.ts'
import { rejectOnAbort } from './route.ts'
import { assertRoom, copyToScratch } from './scratch-copy.ts'
import { reasonOf } from './target.ts'
import type { Site } from './site.ts'
import { sourceFailure } from './sqlite-failure.ts'
import { startSqlite } from './sqlite-process.ts'

const DAMAGED = new Set(['SOURCE_DAMAGED', 'SOURCE_NOT_A_DATABASE'])

/**
 * A copy of a database whose application is stopped, with what still lies in its log or journal. The target itself is
 * only read: SQLite works on a copy. A damaged database is kept as its bytes are, for that may be why it is replaced.
 */
export async function takeOfflineSnapshot(
  site: Site,
  target: string,
  sink: SnapshotSink,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  await assertNotInUse(target, site.context.scratch_dir)
  const rest = (await Promise.all(['-wal', '-journal'].map((end) => sizeOf(target + end)))).some((size) => size > 0)
  const damage = rest ? await settleCopy(site, target, signal) : null
  const settled = rest && damage === null
  const consistent_at = site.context.now()
  const { bytes, page_size } = await pushOffline(settled ? copyName(site) : target, site, sink, signal)
  if (rest) await removeCopy(site)
  return {
    source_db: target,
    consistent_at,
    engine_facts: { route: 'offline', page_size, source_bytes: bytes, damaged: damage !== null, consistent_at },
    notices: damage === null ? [] : [`${target} is damaged (${damage}): its main file was kept as it is`],
  }
}

function copyName(site: Site): string {
  return join(site.context.scratch_dir, 'offline.db')
}

async function removeCopy(site: Site): Promise<void> {
  await Promise.all(['', '-wal', '-shm', '-journal'].map((end) => rm(copyName(site) + end, { force: true })))
}

/** Returns what is wrong with the database if SQLite cannot make one file of it. */
async function settleCopy(site: Site, target: string, signal: AbortSignal): Promise<string | null> {
  const { source, scratch_dir: scratch } = site.context
  const parts = await Promise.all(
    ['', '-wal', '-journal'].map(async (end) => ({ end, size: await sizeOf(target + end) })),
  )
  // The log's pages may come on top of those of the main file.
  await assertRoom(
    scratch,
    parts.reduce((sum, part) => sum + part.size * (part.end === '-wal' ? 2 : 1), 0),
  )
  for (const { end, size } of parts) {
    if (size > 0) await copyToScratch(target + end, copyName(site) + end, size, signal)
  }
  const failure = sourceFailure({ source, what: target, waited_ms: 0, scratch })
  try {
    await using sqlite = startSqlite({ task: 'settle', path: copyName(site) }, { scratch, signal, failure })
    await sqlite.next('settled')
    return null
  } catch (error) {
    const failed = asSalvorError(error)
    if (DAMAGED.has(failed.code)) return failed.message
    throw failed
  }
}

async function pushOffline(path: string, site: Site, sink: SnapshotSink, signal: AbortSignal) {
  const raw = await openRaw(path).catch((error: unknown) => {
    const facts = { source: site.context.source, what: path, reason: reasonOf(error) }
    throw new SalvorError('SOURCE_UNREADABLE', facts, error)
  })
  const bytes = Number(raw.stat.size)
  const pageSize = raw.header?.page_size ?? 0
  site.context.progress({ phase: 'copy', done_bytes: 0, total_bytes: bytes })
  using abort = rejectOnAbort(signal)
  const pushed = pushFile(raw, bytes, pageSize, sink)
  pushed.catch(() => undefined)
  await Promise.race([pushed, abort.aborted])
  await assertUnchanged(raw.stat, path, site.context.source)
  site.context.progress({ phase: 'copy', done_bytes: bytes, total_bytes: bytes })
  return { bytes, page_size: pageSize }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0
}
