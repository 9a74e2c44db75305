import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Channel, ChannelAdapter } from '@salvor/shared/ports/channel'
import type { Engine, EngineAdapter, EngineContext, SetUpStep } from '@salvor/shared/ports/engine'
import type { Store, StoreAdapter } from '@salvor/shared/ports/store'
import type { Adapters } from '../adapters/installed-adapters.ts'
import type { Environment, LoadedConfig } from './loaded-config.ts'
import type { Adapted } from './read-adapters.ts'
import type { SourceBlock } from './read-sources.ts'

type Openers = Pick<
  LoadedConfig,
  'openStore' | 'openEngine' | 'filesOpenedFor' | 'setUp' | 'openEngineForRestore' | 'openChannel'
>

/** What opens the adapters of a configuration by name. Each call opens anew: the caller closes. */
export function openers(
  stores: ReadonlyMap<string, Adapted<StoreAdapter>>,
  sources: ReadonlyMap<string, SourceBlock>,
  channels: ReadonlyMap<string, Adapted<ChannelAdapter>>,
  adapters: Adapters,
  env: Environment,
): Openers {
  const withVariables = (context: EngineContext, { variables = [] }: EngineAdapter): EngineContext => {
    const set = variables.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []))
    return { ...context, environment: Object.fromEntries(set) }
  }
  const sourceOf = (source: string): SourceBlock => {
    const found = sources.get(source)
    if (!found) throw new SalvorError('SOURCE_UNKNOWN', { source })
    return found
  }
  return {
    async openStore(name: string): Promise<Store> {
      const store = stores.get(name)
      if (!store) throw new SalvorError('STORE_UNKNOWN', { store: name })
      return store.adapter.open(name, store.config)
    },
    async openEngine(source: string, context: EngineContext): Promise<Engine> {
      const { adapter, config } = sourceOf(source)
      return adapter.open(config, withVariables(context, adapter))
    },
    filesOpenedFor(source: string): readonly string[] {
      const { adapter, config } = sourceOf(source)
      return adapter.opensFiles?.(config) ?? []
    },
    setUp(source: string): readonly SetUpStep[] {
      const { adapter, config } = sourceOf(source)
      return adapter.setUp?.(config) ?? []
    },
    async openEngineForRestore(kind: string, context: EngineContext): Promise<Engine> {
      const adapter = await adapters.load('engine', kind)
      if (!adapter)
        throw new SalvorError('NOT_AVAILABLE', { what: `a restore with the engine ${kind}`, fix: 'run a newer Salvor' })
      if (adapter.openForRestore) return adapter.openForRestore(context)
      const config = adapter.schema.safeParse({})
      if (!config.success) throw new SalvorError('SOURCE_UNKNOWN', { source: context.source })
      return adapter.open(config.data, context)
    },
    async openChannel(name: string, install: string): Promise<Channel> {
      const channel = channels.get(name)
      if (!channel) throw new SalvorError('USAGE', { reason: `No channel is called ${name}`, command: 'notify test' })
      return channel.adapter.open(name, channel.config, install)
    },
  }
}
