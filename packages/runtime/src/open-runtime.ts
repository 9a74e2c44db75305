import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Catalog, Holder } from '@salvor/shared/ports/catalog'
import type { Ids } from '@salvor/shared/ports/clock'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Log } from '@salvor/shared/ports/log'
import type { Deps } from '@salvor/shared/ports/service'
import type { Tasks } from '@salvor/shared/ports/tasks'
import { installedAdapters, type Adapters } from './adapters/installed-adapters.ts'
import { announceCommits, type CommittedWork } from './announce-commits.ts'
import { systemClock, systemIds } from './clock.ts'
import { loadConfig, parseConfig } from './config/load-config.ts'
import type { Environment, LoadedConfig } from './config/loaded-config.ts'
import { holderAlive, thisHolder } from './holder.ts'
import { loadKeyring } from './keyring-file.ts'
import { holdLease } from './lease.ts'
import { createLog, type LogLevel } from './log.ts'
import { openedAdapters, type OpenedAdapters } from './opened-adapters.ts'
import { forkTasks } from './task-process.ts'
import type { TaskName } from './tasks/perform-task.ts'

/** The caller brings the catalog: this package knows the port only. */
export type OpenCatalog = (options: {
  readonly url: string | null
  readonly data_dir: string
  readonly ids: Ids
  readonly holderAlive: (holder: Holder) => boolean | null
}) => Promise<Catalog>

export interface RuntimeOptions {
  readonly config_file: string
  /** The configuration itself, instead of what the file holds. */
  readonly config_text?: string
  readonly env: Environment
  readonly openCatalog: OpenCatalog
  /** Who works here, in leases and log lines; default: cli. */
  readonly service?: string
  readonly adapters?: Adapters
  readonly log?: Log
  /** Limit of a task's JavaScript heap; buffers come on top. */
  readonly max_old_space_mb?: number
  /** The first task that is sure to come: its process, or its threads, start while the rest is opened. */
  readonly expects?: TaskName
  /** Whether it runs in this process; it must not touch a SQLite file that something else here may have open. */
  readonly here?: boolean | ((config: LoadedConfig) => Promise<boolean>)
}

/** Configuration, catalog and adapters of a process. */
export interface Runtime extends AsyncDisposable {
  readonly deps: Deps
  readonly holder: Holder
  /** The configuration in force. */
  config(): LoadedConfig
  /** Reads the file anew. False, and logged: it is invalid, so the old one stays. */
  reload(): Promise<boolean>
  /** Looks anew for files of sources with `paths`, by the configuration in force. True: the sources are others now. */
  lookForFiles(): Promise<boolean>
  /** Hears of every commit of this process that left something to deliver. */
  onCommit(listener: (work: CommittedWork) => void): void
  readonly redis_url: string | null
}

const LEVELS: ReadonlySet<string> = new Set<LogLevel>(['debug', 'info', 'warn', 'error'])
const HEAP_MB = 128
/** Read when a process starts, and not again. */
const AT_START = ['catalog_url', 'redis_url', 'http_port', 'pools'] as const

/** Opens what a command or a service needs. Nothing is started: no worker, no queue. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  await using opened = new AsyncDisposableStack()
  const { env, service = 'cli', adapters = installedAdapters } = options
  const { config_file, config_text } = options
  const load = (): Promise<LoadedConfig> =>
    config_text === undefined
      ? loadConfig(config_file, env, adapters)
      : parseConfig(config_text, config_file, env, adapters)
  const { expects, here } = options
  // Its code comes while secrets are digested in another thread.
  if (here !== undefined && here !== false) void import('./tasks/task-here.ts').catch(() => undefined)
  let config = await load()
  const level = LEVELS.has(env['SALVOR_LOG_LEVEL'] ?? '')
    ? (env['SALVOR_LOG_LEVEL'] as LogLevel)
    : service === 'cli'
      ? 'warn'
      : 'info'
  const log =
    options.log ?? createLog({ level, secrets: () => config.secrets, facts: { process: service, pid: process.pid } })
  const { data_dir } = config.settings
  const forked = opened.use(
    forkTasks({
      config: () => config,
      env,
      max_old_space_mb: options.max_old_space_mb ?? HEAP_MB,
      log,
      log_level: level,
    }),
  )
  let tasks: Tasks = forked
  if (expects !== undefined && (typeof here === 'function' ? await here(config) : here)) {
    const { taskHere } = await import('./tasks/task-here.ts')
    tasks = opened.use(taskHere(expects, forked, { config: () => config, clock: systemClock, log }))
  } else if (expects !== undefined) forked.warmUp(expects)
  const base = await options.openCatalog({ url: config.catalog_url, data_dir, ids: systemIds, holderAlive })
  opened.defer(() => base.close())
  const listeners: ((work: CommittedWork) => void)[] = []
  const catalog = announceCommits(base, (work) => listeners.forEach((listener) => listener(work)))
  const holder = thisHolder(service)
  const present = new Present(config, catalog.id, log)
  opened.defer(() => present.close())
  await present.open()
  const deps: Deps = {
    catalog,
    settings: () => config.settings,
    store: (name) => present.adapters.store(name),
    engine: (source) => present.adapters.engine(source),
    channel: (name) => present.adapters.channel(name),
    get keyring() {
      return present.keyring
    },
    tasks,
    clock: systemClock,
    ids: systemIds,
    log,
    lease: (name) => holdLease(name, { catalog, holder, log }),
  }
  const kept = opened.move()
  return {
    deps,
    holder,
    config: () => config,
    async reload() {
      try {
        const next = await load()
        await present.replace(next)
        const later = AT_START.filter((key) => JSON.stringify(next[key]) !== JSON.stringify(config[key]))
        if (later.length > 0) log.warn({ keys: later }, 'these keys take effect at the next start')
        config = next
        log.info({ file: next.file }, 'configuration reloaded')
        return true
      } catch (error) {
        log.error({ error: asSalvorError(error) }, 'configuration not reloaded: the old one stays in force')
        return false
      }
    },
    async lookForFiles() {
      const before = config
      if (!before.settings.fleets?.size) return false
      try {
        const next = await parseConfig(before.text, before.file, env, adapters)
        if (next.hash === before.hash || config !== before || lostSight(before, next, log)) return false
        await present.replace(next)
        config = next
        return true
      } catch (error) {
        log.error({ error: asSalvorError(error) }, 'no look for new files: the sources stay as they are')
        return false
      }
    },
    onCommit: (listener) => void listeners.push(listener),
    redis_url: config.redis_url ?? (env['SALVOR_REDIS_URL'] || null),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** A place that could be looked at before cannot, or is empty: the sources stay, and what is not there fails at its backup. */
function lostSight(before: LoadedConfig, next: LoadedConfig, log: Log): boolean {
  for (const [source, { found, unread }] of next.settings.fleets ?? []) {
    if (found > 0 || !before.settings.fleets?.get(source)?.found) continue
    log.error(
      { source, reason: unread ?? 'not one file is left' },
      'files cannot be looked for: the sources stay as they are',
    )
    return true
  }
  return false
}

/** What follows the configuration: adapters and keys. Adapters of an old one live on for the work that has them at hand. */
class Present {
  #config: LoadedConfig
  readonly #install: string
  readonly #log: Log
  #old: OpenedAdapters[] = []
  #opened: { readonly adapters: OpenedAdapters; readonly keyring: KeyRing } | null = null

  constructor(config: LoadedConfig, install: string, log: Log) {
    this.#config = config
    this.#install = install
    this.#log = log
  }
  get adapters(): OpenedAdapters {
    return this.#opened!.adapters
  }
  get keyring(): KeyRing {
    return this.#opened!.keyring
  }
  async open(): Promise<void> {
    const { keyring_file, settings } = this.#config
    const keyring = await loadKeyring({ keyring_file, data_dir: settings.data_dir }, () => systemClock.now())
    const adapters = await openedAdapters(this.#config, this.#install, systemClock, this.#log)
    if (this.#opened) this.#old.push(this.#opened.adapters)
    this.#opened = { adapters, keyring }
  }
  async replace(config: LoadedConfig): Promise<void> {
    const before = this.#config
    this.#config = config
    try {
      await this.open()
    } catch (error) {
      this.#config = before
      throw error
    }
  }
  async close(): Promise<void> {
    const all = [...this.#old, ...(this.#opened ? [this.#opened.adapters] : [])]
    this.#old = []
    await Promise.allSettled(all.map((adapters) => adapters.close()))
  }
}
