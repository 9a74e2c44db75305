import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { DatabaseFacts } from './child/messages.ts'
import type { PushedState, StillFile } from './pages/push-state.ts'
import { type RawFile, withRaw } from './raw-file.ts'
import type { Found, Site } from './site.ts'
import type { SqliteProcess } from './sqlite-process.ts'

/** How the bytes came to the sink, and what that cost the application. */
export interface Route {
  readonly route: 'freeze' | 'captured' | 'backup-api' | 'shared-lock'
  readonly facts: DatabaseFacts
  readonly consistent_at: Instant
  /** The longest that a writer was kept from committing. */
  readonly lock_ms: number
  /** Where it was taken again and again: how often, and for how long. */
  readonly lock_count?: number
  readonly lock_p50_ms?: number
  readonly lock_p99_ms?: number
  readonly attempts: number
  readonly restarts: number
  readonly wal_grown_bytes: number
}

export interface Pushed {
  readonly route: Route
  readonly state: PushedState
}

/** How the bytes of a still file go to the sink: all of them, or those that changed. */
export type Push = (file: StillFile) => Promise<PushedState>

export interface Work {
  readonly site: Site
  readonly found: Found
  readonly sqlite: SqliteProcess
  readonly sink: SnapshotSink
  readonly push: Push
  readonly signal: AbortSignal
}

/** Of milliseconds: no digits behind a microsecond. */
export function thousandths(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** Where the routes that copy first put the copy. */
export function copyPath(site: Site): string {
  return join(site.context.scratch_dir, 'copy.db')
}

/** A promise that only ever rejects, for racing work that does not listen to the signal itself. */
export function rejectOnAbort(signal: AbortSignal): Disposable & { readonly aborted: Promise<never> } {
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  const reject = (): void => aborted.reject(new SalvorError('INTERRUPTED', {}, signal.reason))
  if (signal.aborted) reject()
  else signal.addEventListener('abort', reject, { once: true })
  return { aborted: aborted.promise, [Symbol.dispose]: () => signal.removeEventListener('abort', reject) }
}

/** Pushes a database file that stands still; it is closed when no thread reads it any more. */
export function pushRaw(raw: RawFile, { page_size, page_count }: DatabaseFacts, work: Work): Promise<PushedState> {
  const { source, scratch_dir } = work.site.context
  return withRaw(raw, (fd) => work.push({ fd, page_size, page_count, source, scratch_dir, sink: work.sink }))
}
