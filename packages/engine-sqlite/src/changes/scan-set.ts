import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ChangeSink } from '@salvor/shared/ports/changes'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import { type Instant, laterOf, shifted } from '@salvor/shared/vocabulary/instant'
import type { Site } from '../site.ts'
import { takeChanges } from '../snapshot.ts'

/** A state that was stored, to compare with. */
export interface ScannedState {
  /** Everything committed until then is in it, and nothing else. */
  readonly until: Instant
  /** A file with its page digests. */
  readonly digests: string
}

export interface ScanWish {
  readonly base: ParentBackup
  /** What the set before it brought, to be compared with instead; null: the base. */
  readonly before: ScannedState | null
  /** Why instants before this set are lost; null: none are. */
  readonly lost: string | null
  /** In the log, not behind the state that is found: a stream may go on from there. */
  readonly position: string | null
  /** An instant that is taken already, by a clock that may have been set back since; empty: none is. */
  readonly not_before: Instant
}

/** Every page that differs from the base, or from the state before, found as an incremental backup finds them. */
export interface ScannedSet extends AsyncDisposable {
  readonly at: Instant
  readonly page_count: number
  readonly pages: number
  /** A file with the page digests of the state that it brings, removed when it is disposed. */
  readonly digests: string
  store(sink: ChangeSink): Promise<void>
}

/** Compares the database with the base, or the state before. FULL_NEEDED: too much differs. */
export async function scanSet(site: Site, wish: ScanWish, signal: AbortSignal): Promise<ScannedSet> {
  const { scratch_dir } = site.context
  const file = join(scratch_dir, 'scan.pages')
  await rm(file, { force: true })
  const handle = await open(file, 'wx', 0o600)
  const digests = join(scratch_dir, 'state.digests')
  const remove = async (): Promise<void> => {
    await rm(file, { force: true })
    await rm(digests, { force: true })
  }
  const into: SnapshotSink = {
    async write(chunk) {
      await handle.appendFile(chunk)
    },
    writeFile: () => Promise.reject(new Error('changed pages come as writes')),
  }
  try {
    const { base, before } = wish
    const parent = before ? { ...base, digests: before.digests } : base
    const facts = await takeChanges(site, parent, into, { skipUnchanged: false }, signal)
    if (facts === null) throw new SalvorError('INTERNAL', { what: 'changes that were skipped' })
    const { engine_facts } = facts
    const from_at = before?.until ?? base.consistent_at
    const taken = laterOf(from_at, wish.not_before)
    const at = facts.consistent_at > taken ? facts.consistent_at : shifted(taken, 0.001)
    const counts = {
      page_size: Number(engine_facts['page_size']),
      page_count: Number(engine_facts['page_count']),
      pages: Number(engine_facts['changed_pages']),
    }
    const described = {
      method: 'scan',
      stands_on: before ? 'previous' : 'base',
      base: base.id,
      lost: wish.lost,
      position: wish.position,
    } as const
    const piece = { ...described, from_at, to_at: at, ...counts, state_sha256: String(engine_facts['state_sha256']) }
    return {
      at,
      ...counts,
      digests,
      store: (sink) => sink.store(piece, () => createReadStream(file, { highWaterMark: 1 << 20 })),
      [Symbol.asyncDispose]: remove,
    }
  } catch (error) {
    await remove()
    throw error
  } finally {
    await handle.close()
  }
}
