import type { Engine, EngineAdapter, EngineContext } from '@salvor/shared/ports/engine'
import { serversOf } from './connect/open-link.ts'
import { PostgresConfig, walHoldBytes } from './config.ts'
import { DEADLINES, type Environment } from './environment.ts'
import { offlineSnapshot } from './offline-snapshot.ts'
import { probe } from './probe.ts'
import { prove } from './prove.ts'
import { restore } from './restore.ts'
import { snapshot } from './snapshot.ts'
import { assertTarget } from './target.ts'

type LocalHalf = Pick<Engine, 'assertTarget' | 'offlineSnapshot' | 'restore' | 'prove'>

/** What needs no server: a source that the configuration no longer names can be restored and proven. */
function localHalf(context: EngineContext, database: () => Promise<string>): LocalHalf {
  return {
    assertTarget,
    offlineSnapshot: (target, sink, signal) => offlineSnapshot(context, target, sink, signal),
    restore: (content, request, signal) => restore(context, content, request, signal),
    prove: async (restored, checks, facts, signal) =>
      await prove(context, { folder: restored, checks, facts, database: await database() }, signal),
  }
}

function open(config: PostgresConfig, context: EngineContext): Engine {
  const source = { url: config.url, passwordFile: config.password_file ?? null }
  const env: Environment = { source, context, deadlines: DEADLINES, maxWalHold: walHoldBytes(config) }
  return {
    probe: (signal) => probe(env, signal),
    snapshot: (sink, signal) => snapshot(env, sink, signal),
    ...localHalf(context, async () => (await serversOf(env)).addresses[0]!.database),
  }
}

function openForRestore(context: EngineContext): Engine {
  const gone = () => Promise.reject(new TypeError('opened for a restore: there is no server'))
  return { probe: gone, snapshot: gone, ...localHalf(context, async () => 'postgres') }
}

export const adapter: EngineAdapter<PostgresConfig> = {
  kind: 'postgres',
  schema: PostgresConfig,
  secrets: ['url'],
  artifact: 'tar',
  types: ['full'],
  variables: ['HOME', 'PGPASSFILE', 'PGSERVICEFILE', 'PGSYSCONFDIR'],
  open,
  openForRestore,
}
