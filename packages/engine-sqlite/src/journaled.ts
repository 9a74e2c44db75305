import { stat } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ReportOf } from './child/messages.ts'
import { assertUnchanged } from './raw-file.ts'
import { copyPath, type Route, type Work } from './route.ts'
import { assertRoom, copyToScratch, openSlices } from './scratch-copy.ts'
import { instantOfTicks } from './site.ts'
import { tellGrowth } from './tell-growth.ts'

type Shared = ReportOf<'shared'>
type Copied = Pick<Route, 'facts' | 'consistent_at' | 'lock_ms' | 'restarts'>

/**
 * Rollback journal: a reader keeps writers from committing. So the file is copied aside in slices, each read under a
 * shared lock of milliseconds; a commit between two slices starts the copy again. Where writers leave no pause for that,
 * the whole file is copied under one shared lock, for a bounded and reported time. (SQLite's backup API does the same
 * more slowly: it writes, and at the end syncs, the copy under the lock.) What the sink then does with the copy costs
 * the application nothing.
 */
export async function copyJournaled(start: ReportOf<'journaled'>, work: Work): Promise<Route> {
  const { site, found, sqlite } = work
  const bytes = start.facts.page_size * start.facts.page_count
  const rest = { route: 'shared-lock', attempts: 1, wal_grown_bytes: 0 } as const
  if (bytes === 0) {
    const consistent_at = instantOfTicks(start.at, site.context.now)
    return { ...rest, facts: start.facts, consistent_at, lock_ms: 0, restarts: 0 }
  }
  await assertRoom(site.context.scratch_dir, bytes)
  site.context.progress({ phase: 'copy aside', done_bytes: 0, total_bytes: bytes })
  const sliced = await copyInSlices(work)
  const copied = sliced.whole ? sliced : await copyAtOnce(work, sliced)
  // SQLite holds the locks on the file that had this name at first: it must be the one whose bytes were read.
  const { ino, dev } = await stat(found.path, { bigint: true })
  if (ino !== start.file.ino || dev !== start.file.dev)
    throw new SalvorError('SOURCE_CHANGED', { source: site.context.source })
  sqlite.tell({ command: 'release' })
  await sqlite.next('released')
  return {
    ...rest,
    facts: copied.facts,
    consistent_at: copied.consistent_at,
    lock_ms: copied.lock_ms,
    restarts: copied.restarts,
  }
}

/** Ends without the whole when commits came between too often. */
async function copyInSlices(work: Work): Promise<Copied & { readonly whole: boolean }> {
  const { site, found, sqlite } = work
  const { limits } = site
  await using slices = await openSlices(found.path, copyPath(site), limits.slice_bytes)
  const deadline = performance.now() + limits.slices_deadline_ms
  let restarts = 0
  let longest = 0
  let first: Shared | null = null
  for (let offset = 0; ;) {
    await slices.warm(offset)
    const shared = await share(work)
    if (first && shared.facts.data_version !== first.facts.data_version) {
      restarts += 1
      offset = 0
      first = null
    }
    first ??= shared
    const size = shared.facts.page_size * shared.facts.page_count
    await Promise.race([slices.read(offset, size), sqlite.ended])
    const consistent_at = instantOfTicks(shared.at, site.context.now)
    longest = Math.max(longest, await free(work))
    await slices.store(offset)
    offset += limits.slice_bytes
    site.context.progress({ phase: 'copy aside', done_bytes: Math.min(offset, size), total_bytes: size })
    const seen = { facts: shared.facts, consistent_at, lock_ms: longest, restarts }
    if (offset >= size) {
      // A start before this one may have left a longer copy.
      await slices.truncate(size)
      return { ...seen, whole: true }
    }
    if (restarts > limits.slice_restarts || performance.now() > deadline) return { ...seen, whole: false }
  }
}

async function share({ sqlite }: Work): Promise<Shared> {
  sqlite.tell({ command: 'share' })
  return sqlite.next('shared')
}

async function free({ sqlite }: Work): Promise<number> {
  sqlite.tell({ command: 'free' })
  return (await sqlite.next('freed')).lock_ms
}

async function copyAtOnce(work: Work, before: Copied): Promise<Copied> {
  const { site, found, sqlite, signal } = work
  const { source, now } = site.context
  const shared = await share(work)
  const consistent_at = instantOfTicks(shared.at, now)
  const seen = await stat(found.path, { bigint: true })
  const inTime = AbortSignal.timeout(site.limits.hold_ms)
  const bytes = shared.facts.page_size * shared.facts.page_count
  using _growth = tellGrowth(site.context, copyPath(site), bytes)
  const copied = copyToScratch(found.path, copyPath(site), bytes, AbortSignal.any([signal, inTime]))
  copied.catch(() => undefined)
  try {
    await Promise.race([copied, sqlite.ended])
  } catch (error) {
    if (signal.aborted || !inTime.aborted) throw error
    const seconds = String(Math.ceil(site.limits.hold_ms / 1000))
    throw new SalvorError('SOURCE_STALLED', { source, seconds }, error)
  }
  await assertUnchanged(seen, found.path, source)
  const lock_ms = Math.max(before.lock_ms, await free(work))
  return { facts: shared.facts, consistent_at, lock_ms, restarts: before.restarts }
}
