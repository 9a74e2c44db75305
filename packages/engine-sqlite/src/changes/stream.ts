import { mkdir, rm } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeResume, ChangeSink, ChangeStreamRequest } from '@salvor/shared/ports/changes'
import { openRaw } from '../raw-file.ts'
import { assertLocalDisk, findDatabase, type Site } from '../site.ts'
import { WrittenAround } from './files-watch.ts'
import { Overran } from './log-follower.ts'
import { followLog } from './log-stream.ts'
import { TooMuch } from './pending-set.ts'
import { followByScans } from './scan-stream.ts'
import { LogBroken } from './wal-file.ts'

/** A helper that dies sooner may do so at each start. */
const DIED_MS = 10_000

/** Follows a database until the signal aborts or something fails: its log where it has one, else by comparing pages. */
export async function streamChanges(
  site: Site,
  request: ChangeStreamRequest,
  sink: ChangeSink,
  signal: AbortSignal,
): Promise<never> {
  const { spool_dir } = request
  const own: Site = { ...site, context: { ...site.context, scratch_dir: spool_dir } }
  const { source, log } = own.context
  let { resume } = request
  const noted = noting(sink, (stored) => (resume = stored))
  let gentle = false
  for (let lost: string | null = null; ;) {
    await rm(spool_dir, { recursive: true, force: true })
    await mkdir(spool_dir, { recursive: true, mode: 0o700 })
    const found = await findDatabase(own)
    const raw = await openRaw(found.path)
    await raw.handle.close()
    const wal = raw.header?.wal === true
    assertLocalDisk(found, wal, source)
    const now = { ...request, resume }
    if (!wal) return await followByScans(own, found, now, noted, signal)
    const begun = performance.now()
    try {
      return await followLog({ site: own, found, request: now, sink: noted, lost, gentle }, signal)
    } catch (error) {
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      if (error instanceof Overran) {
        // What was stored last says where to go on.
        lost = null
        gentle = true
        log.warn({ source, reason: error.message }, 'the change stream goes on')
        continue
      }
      const died = error instanceof SalvorError && error.code === 'TASK_DIED'
      if (died && performance.now() - begun > DIED_MS) {
        // Mostly another database's doing: several share the process. At once, before the log is reset.
        lost = null
        log.warn({ source, reason: error.message }, 'the change stream goes on')
        continue
      }
      const isKnown = error instanceof LogBroken || error instanceof TooMuch || error instanceof WrittenAround
      if (!isKnown) throw error
      lost = error instanceof LogBroken ? `frames of the log were lost: ${error.message}` : error.message
      log.warn({ source, reason: lost }, 'the change stream begins anew')
      if (error instanceof TooMuch) await sink.fullNeeded(error.message)
    }
  }
}

/** The same sink; `onStored` hears of each set that is stored. */
function noting(sink: ChangeSink, onStored: (stored: ChangeResume) => void): ChangeSink {
  return {
    base: () => sink.base(),
    async store(piece, content) {
      await sink.store(piece, content)
      onStored(piece)
    },
    fullNeeded: (reason) => sink.fullNeeded(reason),
    progress: (progress) => sink.progress(progress),
  }
}
