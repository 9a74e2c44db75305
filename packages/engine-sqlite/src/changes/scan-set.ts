import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ChangeSink } from '@salvor/shared/ports/changes'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Site } from '../site.ts'
import { takeChanges } from '../snapshot.ts'

export interface ScanWish {
  readonly base: ParentBackup
  /** Why instants before this set are lost; null: none are. */
  readonly lost: string | null
  /** In the log, not behind the state that is found: a stream may go on from there. */
  readonly position: string | null
}

/** Every page that differs from the base, found as an incremental backup finds them. */
export interface ScannedSet extends AsyncDisposable {
  readonly at: Instant
  readonly page_count: number
  readonly pages: number
  store(sink: ChangeSink): Promise<void>
}

/** Compares the database with the base. FULL_NEEDED: too much differs. */
export async function scanSet(site: Site, wish: ScanWish, signal: AbortSignal): Promise<ScannedSet> {
  const { scratch_dir } = site.context
  const file = join(scratch_dir, 'scan.pages')
  await rm(file, { force: true })
  const handle = await open(file, 'wx', 0o600)
  const remove = () => rm(file, { force: true })
  const into: SnapshotSink = {
    async write(chunk) {
      await handle.appendFile(chunk)
    },
    writeFile: () => Promise.reject(new Error('changed pages come as writes')),
  }
  try {
    const facts = await takeChanges(site, wish.base, into, { skipUnchanged: false }, signal)
    if (facts === null) throw new SalvorError('INTERNAL', { what: 'changes that were skipped' })
    const { engine_facts, consistent_at } = facts
    const counts = {
      page_size: Number(engine_facts['page_size']),
      page_count: Number(engine_facts['page_count']),
      pages: Number(engine_facts['changed_pages']),
    }
    const described = {
      method: 'scan',
      stands_on: 'base',
      base: wish.base.id,
      lost: wish.lost,
      position: wish.position,
    } as const
    const instants = { from_at: wish.base.consistent_at, to_at: consistent_at }
    const piece = { ...described, ...instants, ...counts, state_sha256: String(engine_facts['state_sha256']) }
    return {
      at: consistent_at,
      ...counts,
      store: (sink) => sink.store(piece, () => createReadStream(file, { highWaterMark: 1 << 20 })),
      [Symbol.asyncDispose]: remove,
    }
  } catch (error) {
    await remove()
    throw error
  } finally {
    await handle.close()
    await rm(join(scratch_dir, 'state.digests'), { force: true })
  }
}
