import type { Engine, EngineAdapter, EngineContext } from '@salvor/shared/ports/engine'
import { compactSets } from './changes/compact-sets.ts'
import { streamChanges } from './changes/stream.ts'
import { LIMITS, SqliteConfig, type Limits } from './config.ts'
import { exportCopy } from './export.ts'
import { findDatabases } from './find-databases.ts'
import { mergeChain } from './merge.ts'
import { takeOfflineSnapshot } from './offline-snapshot.ts'
import { probeSource } from './probe.ts'
import { proveCopy } from './prove.ts'
import { openState } from './reading/open-state.ts'
import { restoreFile } from './restore.ts'
import { streamFile } from './restore-stream.ts'
import type { Site } from './site.ts'
import { takeChanges, takeSnapshot } from './snapshot.ts'
import { readingFailure } from './sqlite-failure.ts'
import { stateMark } from './state-mark.ts'
import { assertTarget } from './target.ts'

/** One SQLite database. Tests give tighter limits; the product has those of `LIMITS`. */
export function openEngine(config: SqliteConfig, context: EngineContext, limits: Limits = LIMITS): Engine {
  const site: Site = { path: config.path, context, limits }
  return {
    probe: (signal) => reading(site, config.path, probeSource(site, signal)),
    snapshot: (sink, signal) => reading(site, config.path, takeSnapshot(site, sink, signal)),
    snapshotChanges: (parent, sink, options, signal) =>
      reading(site, config.path, takeChanges(site, parent, sink, options, signal)),
    merge: (full, { increments }, sink, signal) => mergeChain(site, full, increments, sink, signal),
    changes: {
      stream: (request, sink, signal) => reading(site, config.path, streamChanges(site, request, sink, signal)),
    },
    compactChanges: (sets, signal) => compactSets(context, sets, signal),
    stateMark: () => stateMark(site),
    assertTarget: async (target, inPlace) => {
      await assertTarget(target, inPlace, site)
    },
    offlineSnapshot: (target, sink, signal) => reading(site, target, takeOfflineSnapshot(site, target, sink, signal)),
    openState: (state, signal) => openState(context, state, signal),
    restore: (content, request, signal) => restoreFile(site, content, request, signal),
    restoreStream: (content, request, sink, signal) => streamFile(site, content, request, sink, signal),
    export: (request, signal) => exportCopy(site, request, signal),
    prove: (restored, checks, _engineFacts, signal) => proveCopy(site, restored, checks, signal),
  }
}

async function reading<T>(site: Site, what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { source, scratch_dir: scratch } = site.context
    throw readingFailure({ source, what, waited_ms: site.limits.lock_wait_ms, scratch }, error)
  }
}

export const adapter: EngineAdapter<SqliteConfig> = {
  kind: 'sqlite',
  schema: SqliteConfig,
  secrets: [],
  artifact: 'db',
  incremental_artifact: 'pages',
  streams: 'changes',
  types: ['full', 'incremental'],
  findFiles: findDatabases,
  merges: true,
  opensFiles: ({ path }) => [path, `${path}-wal`],
  open: openEngine,
  // A restore reads an artifact and writes a target: the source's own path is not looked at.
  openForRestore: (context) => openEngine({ path: '' }, context),
}
