import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Channel } from '@salvor/shared/ports/channel'
import type { Clock } from '@salvor/shared/ports/clock'
import type { Engine } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import type { Store } from '@salvor/shared/ports/store'
import type { LoadedConfig } from './config/loaded-config.ts'

/** Stores, engines and channels of one configuration, by name. */
export interface OpenedAdapters {
  store(name: string): Store
  engine(source: string): Engine
  channel(name: string): Channel
  close(): Promise<void>
}

type Opened<T> = ReadonlyMap<string, T | SalvorError>

/** Opens all of them. One that cannot be opened says why when it is used, and stops no other. */
export async function openedAdapters(
  config: LoadedConfig,
  install: string,
  clock: Clock,
  log: Log,
): Promise<OpenedAdapters> {
  const { settings, sandbox_dir: scratch_dir, server_programs } = config
  const names = new Set(settings.routes.flatMap(({ to }) => to))
  const context = (source: string) => ({
    source,
    scratch_dir,
    log,
    now: () => clock.now(),
    progress: () => undefined,
    server_programs,
  })
  const [stores, engines, channels] = await Promise.all([
    openAll(settings.stores.keys(), (name) => config.openStore(name)),
    openAll(settings.sources.keys(), (source) => config.openEngine(source, context(source))),
    openAll(names, (name) => config.openChannel(name, install)),
  ])
  return {
    store: (name) => use(stores, name, () => new SalvorError('STORE_UNKNOWN', { store: name })),
    engine: (source) => use(engines, source, () => new SalvorError('SOURCE_UNKNOWN', { source })),
    channel: (name) =>
      use(
        channels,
        name,
        () => new SalvorError('USAGE', { reason: `No channel is called ${name}`, command: 'notify test' }),
      ),
    async close() {
      const open = [...stores.values()].filter((store) => !(store instanceof SalvorError))
      await Promise.allSettled(open.map((store) => (store as Store).close()))
    },
  }
}

async function openAll<T>(names: Iterable<string>, open: (name: string) => Promise<T>): Promise<Opened<T>> {
  const opened = await Promise.all(
    [...names].map(async (name) => [name, await open(name).catch(asSalvorError)] as const),
  )
  return new Map(opened)
}

function use<T>(opened: Opened<T>, name: string, unknown: () => SalvorError): T {
  const found = opened.get(name)
  if (found === undefined) throw unknown()
  if (found instanceof SalvorError) throw found
  return found
}
