import type { Engine, EngineAdapter, EngineContext } from '@salvor/shared/ports/engine'
import { parseAddress, type Address } from './address.ts'
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
function localHalf(context: EngineContext, database: string): LocalHalf {
  return {
    assertTarget,
    offlineSnapshot: (target, sink, signal) => offlineSnapshot(context, target, sink, signal),
    restore: (content, request, signal) => restore(context, content, request, signal),
    prove: (restored, checks, facts, signal) => prove(context, { folder: restored, checks, facts, database }, signal),
  }
}

function open(config: PostgresConfig, context: EngineContext): Engine {
  const address = addressOf(config)
  const env: Environment = { address, context, deadlines: DEADLINES, maxWalHold: walHoldBytes(config) }
  return {
    probe: (signal) => probe(env, signal),
    snapshot: (sink, signal) => snapshot(env, sink, signal),
    ...localHalf(context, address.database),
  }
}

function openForRestore(context: EngineContext): Engine {
  const gone = () => Promise.reject(new TypeError('opened for a restore: there is no server'))
  return { probe: gone, snapshot: gone, ...localHalf(context, 'postgres') }
}

function addressOf(config: PostgresConfig): Address {
  const address = parseAddress(config.url)
  if ('problem' in address) throw new TypeError(address.problem)
  return address
}

export const adapter: EngineAdapter<PostgresConfig> = {
  kind: 'postgres',
  schema: PostgresConfig,
  secrets: ['url'],
  artifact: 'tar',
  types: ['full'],
  open,
  openForRestore,
}
