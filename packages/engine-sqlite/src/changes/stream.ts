import { mkdir, rm } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeSink, ChangeStreamRequest } from '@salvor/shared/ports/changes'
import { openRaw } from '../raw-file.ts'
import { assertLocalDisk, findDatabase, type Site } from '../site.ts'
import { followLog } from './log-stream.ts'
import { TooMuch } from './pending-set.ts'
import { followByScans } from './scan-stream.ts'
import { LogBroken } from './wal-file.ts'

/** Follows a database until the signal aborts or something fails: its log where it has one, else by comparing pages. */
export async function streamChanges(
  site: Site,
  request: ChangeStreamRequest,
  sink: ChangeSink,
  signal: AbortSignal,
): Promise<never> {
  const { spool_dir } = request
  const own: Site = { ...site, context: { ...site.context, scratch_dir: spool_dir } }
  for (let lost: string | null = null; ;) {
    await rm(spool_dir, { recursive: true, force: true })
    await mkdir(spool_dir, { recursive: true, mode: 0o700 })
    const found = await findDatabase(own)
    const raw = await openRaw(found.path)
    await raw.handle.close()
    const wal = raw.header?.wal === true
    assertLocalDisk(found, wal, own.context.source)
    if (!wal) return await followByScans(own, found, request, sink, signal)
    try {
      return await followLog({ site: own, found, request, sink, lost }, signal)
    } catch (error) {
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      if (!(error instanceof LogBroken) && !(error instanceof TooMuch)) throw error
      lost = error instanceof LogBroken ? `frames of the log were lost: ${error.message}` : error.message
      own.context.log.warn({ source: own.context.source, reason: lost }, 'the change stream begins anew')
      if (error instanceof TooMuch) await sink.fullNeeded(error.message)
    }
  }
}
