import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Catalog, Holder } from '@salvor/shared/ports/catalog'
import type { Log } from '@salvor/shared/ports/log'
import type {
  Deps,
  EventHandler,
  JobHandler,
  ServiceDefinition,
  Settings,
  SourceSettings,
} from '@salvor/shared/ports/service'
import type { EventType } from '@salvor/shared/messages/events'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import { JOB_RULES } from '@salvor/shared/messages/jobs'
import { systemClock, systemIds } from './clock.ts'
import { holderAlive, thisHolder } from './holder.ts'
import { holdLease } from './lease.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly facts: Record<string, unknown>
  readonly message: string
}

export function memoryLog(lines: LogLine[] = [], base: object = {}): Log {
  const at = (level: LogLine['level']) => (facts: object, message: string) =>
    void lines.push({ level, facts: { ...base, ...facts }, message })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (facts) => memoryLog(lines, { ...base, ...facts }),
  }
}

export const CLINIC: SourceSettings = {
  name: 'clinic',
  engine: 'sqlite',
  pool: null,
  config_hash: 'h1',
  schedule: {},
  retention: {},
  copies: [{ store: 'local', classes: 'all' }],
  checks: [],
  verify: { full: 'none', incremental: 'none', replicas: 'none' },
  encrypt: false,
  compression: { algorithm: 'zstd', level: 1 },
  artifact: 'db',
  max_chain: 30,
  at_max_chain: 'full',
  types: ['full'],
}

/** A real embedded catalog in a folder of its own, and what handlers need around it. */
export interface World extends AsyncDisposable {
  readonly catalog: Catalog
  readonly deps: Deps
  readonly holder: Holder
  readonly data_dir: string
  readonly lines: LogLine[]
  settings: Settings
}

export async function openWorld(
  given: { data_dir?: string; wrap?: (catalog: Catalog) => Catalog } = {},
): Promise<World> {
  const data_dir = given.data_dir ?? mkdtempSync(join(tmpdir(), 'salvor-runtime-'))
  const opened = await openCatalog({ url: null, data_dir, ids: systemIds, holderAlive })
  const catalog = given.wrap?.(opened) ?? opened
  const lines: LogLine[] = []
  const log = memoryLog(lines)
  const holder = thisHolder('test')
  const world = {
    catalog,
    holder,
    data_dir,
    lines,
    settings: {
      timezone: 'UTC',
      data_dir,
      sources: new Map([['clinic', CLINIC]]),
      stores: new Map(),
      routes: [],
    } as Settings,
    async [Symbol.asyncDispose]() {
      await opened.close()
      if (given.data_dir === undefined) rmSync(data_dir, { recursive: true, force: true })
    },
  }
  const refuse = (): never => {
    throw new Error('not part of this test')
  }
  const deps: Deps = {
    catalog,
    settings: () => world.settings,
    store: refuse,
    engine: refuse,
    channel: refuse,
    keyring: { configured: false, sign: refuse, check: refuse, sealingKey: refuse, wrap: refuse, unwrap: refuse },
    tasks: { run: refuse },
    clock: systemClock,
    ids: systemIds,
    log,
    lease: (name) => holdLease(name, { catalog, holder, log }),
  }
  return Object.assign(world, { deps })
}

type Jobs = { readonly [J in JobName]?: JobHandler<J> }
type Subscriptions = { readonly [T in EventType]?: EventHandler<T> }

/** A service that fits the tables: what is not given does nothing. */
export function service(
  name: ServiceName,
  given: { jobs?: Jobs; subscriptions?: Subscriptions } = {},
): ServiceDefinition {
  const jobs = Object.keys(JOB_RULES).filter((job) => JOB_RULES[job as JobName].service === name)
  const events = Object.keys(SUBSCRIBERS).filter((type) => SUBSCRIBERS[type as EventType].includes(name))
  return {
    name,
    jobs: { ...Object.fromEntries(jobs.map((job) => [job, { handle: async () => ({}) }])), ...given.jobs },
    subscriptions: { ...Object.fromEntries(events.map((type) => [type, async () => null])), ...given.subscriptions },
  }
}

export const backupOf = (source: string) =>
  ({
    job: 'take-backup',
    source,
    params: { source, type: 'full', retention_class: 'full', trigger: 'command', scheduled_for: null },
  }) as const

export const replication = { job: 'replicate-copy', params: { backup_id: 'b1' } } as const

export function enqueue(
  catalog: Catalog,
  run: Parameters<Parameters<Parameters<Catalog['transaction']>[1]>[0]['enqueue']>[0],
) {
  return catalog.transaction({ service: 'scheduler' }, (tx) => tx.enqueue(run))
}

/** An event that backup-worker hears of. */
export function publishRegistered(catalog: Catalog, source = 'clinic') {
  return catalog.transaction({ service: 'scheduler' }, (tx) =>
    tx.publish({ type: 'source.registered', subject: source, data: { source } }),
  )
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not so within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
