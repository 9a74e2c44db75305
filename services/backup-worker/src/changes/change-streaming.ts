import { join } from 'node:path'
import { changeStores } from '@salvor/policy/copies'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import { stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { claimSource } from '../claim-source.ts'
import type { StreamKind } from '../stream-sources.ts'
import { following, isRestored, untilRestored } from './quiet.ts'
import { ChangeHealth } from './change-health.ts'
import { ChangeStoreSink } from './store-sink.ts'

/** The changes of SQLite. Where a set is stored every second or every hour, the stream is another one. */
export const changeStreaming: StreamKind = {
  wanted: ({ changes, config_hash }) => (changes === undefined ? null : `${config_hash} ${changes}`),
  open(deps, source) {
    const health = new ChangeHealth(deps, source)
    return { run: (signal) => followSource(deps, source, health, signal), failed: (error) => health.failed(error) }
  },
}

/** Follows one source until it fails or the signal aborts; returns at once where another worker has it. */
async function followSource(deps: Deps, name: string, health: ChangeHealth, signal: AbortSignal): Promise<void> {
  const source = deps.settings().sources.get(name)
  const engine = deps.engine(name)
  const store = source && changeStores(source)[0]
  if (source?.changes === undefined || !engine.changes || store === undefined)
    throw new SalvorError('SOURCE_UNKNOWN', { source: name })
  if (await isRestored(deps, name)) return
  await using lease = await deps.lease(following(name))
  if (lease === null) return
  using restore = untilRestored(deps, name)
  const both = AbortSignal.any([signal, lease.lost, restore.begun])
  await claimSource(deps, name, store, both)
  const folder = join(deps.settings().data_dir, 'changes-spool', name)
  const last = await deps.catalog.lastChangeSet(name)
  const sink = new ChangeStoreSink(deps, source, { store, folder, last, health, signal: both })
  health.storedLast(last && stateOf(last))
  const resume = last && { ...last, to_at: await coveredBy(deps, last) }
  deps.log.info({ source: name, store, from: resume?.to_at ?? null }, 'following changes')
  try {
    const request = { spool_dir: join(folder, 'spool'), every_ms: source.changes, resume }
    await engine.changes.stream(request, sink, both)
  } catch (error) {
    // Another worker has it by now, or a restore.
    if (!lease.lost.aborted && !restore.begun.aborted) throw error
  }
}

/** Up to when it is known that nothing was committed behind a set. */
async function coveredBy({ catalog }: Deps, last: StoredChangeSet): Promise<Instant> {
  const { source, to_at } = last
  const state = (await catalog.changeStreams()).find((stream) => stream.source === source)
  const covered = state?.last_set === stateOf(last) ? state.covered_until : null
  return covered !== null && covered > to_at ? covered : to_at
}
