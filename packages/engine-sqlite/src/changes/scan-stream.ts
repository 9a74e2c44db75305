import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeSink, ChangeStreamRequest } from '@salvor/shared/ports/changes'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import { type Instant, laterOf } from '@salvor/shared/vocabulary/instant'
import { openRaw } from '../raw-file.ts'
import type { Found, Site } from '../site.ts'
import { scanSet, type ScannedState } from './scan-set.ts'
import { untilStored } from './set-storer.ts'

const COUNTER_AT = 24
const BASE_LOOK_MS = 5_000

/**
 * Rollback journal: no log tells what changes. Where the file's change counter moved, every page is compared with the state that was stored last, the first
 * time on a backup with that.
 */
export async function followByScans(
  site: Site,
  found: Found,
  request: ChangeStreamRequest,
  sink: ChangeSink,
  signal: AbortSignal,
): Promise<never> {
  const last = join(site.context.scratch_dir, 'last.digests')
  let lost = request.resume && 'the database was not followed before this set'
  let stored: string | null = null
  let stoodOn: string | null = null
  let covered_until: Instant | null = null
  for (let refused: string | null = null; ;) {
    const taken = covered_until ?? request.resume?.to_at ?? ''
    const now = laterOf(site.context.now(), taken)
    const counter = await changeCounter(site, found)
    if (counter === stored) covered_until = now
    else {
      const base: ParentBackup | null = await sink.base()
      if (base === null || base.id === refused) {
        await pause(BASE_LOOK_MS, undefined, { signal })
        continue
      }
      // A newer backup is begun upon anew, so that restores are short and need no old one.
      const isSame = base.id === stoodOn && covered_until !== null
      const before: ScannedState | null = isSame ? { until: covered_until!, digests: last } : null
      const begun = performance.now()
      try {
        await using scanned = await scanSet(site, { base, before, lost, position: null, not_before: taken }, signal)
        const tell = (trouble: SalvorError): void =>
          sink.progress({ method: 'scan', covered_until, log_bytes: 0, trouble })
        await untilStored(() => scanned.store(sink), signal, tell)
        signal.throwIfAborted()
        await rename(scanned.digests, last)
        covered_until = scanned.at
        stored = counter
        stoodOn = base.id
        lost = null
      } catch (error) {
        if (!(error instanceof SalvorError) || error.code !== 'FULL_NEEDED') throw error
        refused = base.id
        stoodOn = null
        await sink.fullNeeded(error.facts['reason'] ?? error.message)
      }
      await pause((performance.now() - begun) / site.limits.scan_share, undefined, { signal })
    }
    sink.progress({ method: 'scan', covered_until, log_bytes: 0, trouble: null })
    await pause(request.every_ms, undefined, { signal })
  }
}

/** With the file that it is in. It moves with every commit, before that counts. */
async function changeCounter(site: Site, { path }: Found): Promise<string> {
  const { source } = site.context
  const raw = await openRaw(path)
  try {
    if (raw.header?.wal) throw new SalvorError('SOURCE_CHANGED', { source })
    const bytes = Buffer.alloc(4)
    await raw.handle.read(bytes, 0, 4, COUNTER_AT)
    return `${raw.stat.dev} ${raw.stat.ino} ${bytes.readUInt32BE(0)}`
  } finally {
    await raw.handle.close()
  }
}
