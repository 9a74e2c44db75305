import { join } from 'node:path'
import { walStores } from '@salvor/policy/copies'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import { claimSource } from '../claim-source.ts'
import type { StreamKind } from '../stream-sources.ts'
import { StreamHealth } from './stream-health.ts'
import { StoreSink } from './store-sink.ts'

/** Streams one source until it fails or the signal aborts; returns at once where another worker has it. */
async function streamSource(deps: Deps, name: string, health: StreamHealth, signal: AbortSignal): Promise<void> {
  const source = deps.settings().sources.get(name)
  const engine = deps.engine(name)
  const store = source && walStores(source)[0]
  if (!source || !engine.wal || store === undefined) throw new SalvorError('SOURCE_UNKNOWN', { source: name })
  await using lease = await deps.lease(`wal/${name}`)
  if (lease === null) return
  const both = AbortSignal.any([signal, lease.lost])
  await claimSource(deps, name, store, both)
  const spool_dir = join(deps.settings().data_dir, 'wal-spool', name)
  const resume = await deps.catalog.walEnd(name)
  const sink = new StoreSink(deps, source, store, health, both)
  await sink.forgetOldTails()
  deps.log.info({ source: name, store, from: resume?.lsn ?? null }, 'streaming WAL')
  try {
    await engine.wal.stream({ spool_dir, resume }, sink, both)
  } catch (error) {
    // Another worker has it by now.
    if (!lease.lost.aborted) throw error
  } finally {
    await sink.ended()
  }
}

/** The continuous log of PostgreSQL. */
export const walStreaming: StreamKind = {
  wanted: ({ wal, config_hash }) => (wal === undefined ? null : config_hash),
  open(deps, source) {
    const health = new StreamHealth(deps, source)
    return { run: (signal) => streamSource(deps, source, health, signal), failed: (error) => health.failed(error) }
  },
}
