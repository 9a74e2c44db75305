import type { EngineAdapter } from '@salvor/shared/ports/engine'
import type { FleetSettings, SourceSettings } from '@salvor/shared/ports/service'
import { durationMs } from '@salvor/shared/vocabulary/amounts'
import { SourcePolicy, type ScheduledKind } from '@salvor/shared/vocabulary/source'
import type { Adapters } from '../adapters/installed-adapters.ts'
import { ableOf, type AbleEngine } from './able-engine.ts'
import { checkPolicy, NO_RECOVERY, STREAM_MS } from './check-policy.ts'
import { hashOf } from './config-hash.ts'
import { parseSection } from './parse-section.ts'
import type { KeyPath } from './problems.ts'
import { checkName, loadKind } from './read-adapters.ts'
import { mappingAt, readBlock, type Block, type Reading } from './read-block.ts'
import { readFiles } from './read-files.ts'

const DEFAULT_SCHEDULE: Readonly<Partial<Record<ScheduledKind, string>>> = {
  incremental: '0 23 * * *',
  full: '0 2 * * 0',
  monthly: '0 3 L * *',
  quarterly: '0 4 1 */3 *',
}

/** Where there are no incrementals. */
const { incremental: _, ...OTHERS } = DEFAULT_SCHEDULE
const DAILY_FULLS = { ...OTHERS, full: '0 2 * * *' }

const DEFAULT_RETENTION = {
  incremental: '7d',
  full: '30d',
  monthly: '365d',
  quarterly: '7y',
  yearly: '7y',
  pre_restore: '7d',
} as const

const POLICY_KEYS = Object.keys(SourcePolicy.shape)

export interface SourceBlock extends Block<unknown> {
  readonly settings: SourceSettings
  readonly adapter: EngineAdapter
}

/** What a source is checked against, besides its own lines. */
export interface Surroundings {
  readonly timezone: string
  /** Names in the order of the file, of broken ones too: a mistake there is told once. */
  readonly storeNames: readonly string[]
  readonly storeFingerprint: (name: string) => unknown
  readonly keyring: boolean
}

export interface Sources {
  /** By name: each file of one that names several is an entry of its own. */
  readonly blocks: ReadonlyMap<string, SourceBlock>
  readonly fleets: ReadonlyMap<string, FleetSettings>
  /** What the file says of each, before names of files come in: for checks of its lines. */
  readonly written: readonly SourceSettings[]
}

/** `sources:`, in the order of the file; what is wrong with one is reported and leaves it out. */
export async function readSources(
  value: unknown,
  around: Surroundings,
  reading: Reading,
  adapters: Adapters,
): Promise<Sources> {
  const { tree } = reading
  // An empty list says that there are none on purpose: a configuration for a store alone.
  const sources = {
    blocks: new Map<string, SourceBlock>(),
    fleets: new Map<string, FleetSettings>(),
    written: [] as SourceSettings[],
  }
  if (Array.isArray(value) && value.length === 0) return sources
  const all = mappingAt(value, ['sources'], tree)
  if (all && Object.keys(all).length === 0) {
    tree.problems.add(['sources'], 'no source is named', 'write `sources: { app: { engine: sqlite, path: ./app.db } }`')
  }
  for (const name of all ? tree.keys(['sources']) : []) {
    const path = ['sources', name]
    const raw = checkName(name, path, tree) ? mappingAt(all?.[name], path, tree) : undefined
    const read = raw && (await readSource(name, raw, path, around, reading, adapters))
    if (!read) continue
    for (const block of read.blocks) sources.blocks.set(block.settings.name, block)
    if (read.fleet) sources.fleets.set(name, read.fleet)
    sources.written.push(read.written)
  }
  return sources
}

interface ReadSource {
  readonly blocks: readonly SourceBlock[]
  readonly fleet: FleetSettings | null
  readonly written: SourceSettings
}

async function readSource(
  name: string,
  raw: Readonly<Record<string, unknown>>,
  path: KeyPath,
  around: Surroundings,
  reading: Reading,
  adapters: Adapters,
): Promise<ReadSource | undefined> {
  const { tree } = reading
  const adapter = (await loadKind('engine', raw['engine'], [...path, 'engine'], tree, adapters)) as EngineAdapter | null
  const own = Object.fromEntries(Object.entries(raw).filter(([k, v]) => POLICY_KEYS.includes(k) && v !== null))
  const policy = parseSection(SourcePolicy, own, path, tree, { silent: adapter ? [] : ['engine'] })
  if (!adapter) return undefined
  const files =
    adapter.findFiles && (raw['paths'] ?? null) !== null
      ? ((await readFiles(name, adapter, raw, path, POLICY_KEYS, reading)) ?? null)
      : undefined
  const block = files === undefined ? await readBlock<unknown>(adapter, raw, path, POLICY_KEYS, reading) : undefined
  if (!policy) return undefined
  const able = ableOf(adapter, block?.config)
  checkPolicy({ policy, adapter, able, path, tree }, around)
  const blocks = files?.blocks ?? (block && new Map([[name, block]]))
  if (!blocks) return undefined
  const copies = copiesOf(policy, around.storeNames, tree.keys([...path, 'copies']))
  const streams = streamsOf(policy, able, copies, files !== undefined)
  const written = {
    ...settingsOf(name, policy, able, around),
    ...streams,
    ...provesRecovery(policy, streams),
    copies,
  }
  // The rules of a thousand files are hashed once.
  const rules = files && hashOf(workOf(written, null, around))
  const all = [...blocks].map(([each, one]) => {
    const work = rules ? [rules, each, one.fingerprint] : workOf(written, one.fingerprint, around)
    return { ...one, adapter, settings: { ...written, name: each, config_hash: hashOf(work) } }
  })
  return { blocks: all, fleet: files?.fleet ?? null, written }
}

function settingsOf(name: string, policy: SourcePolicy, adapter: AbleEngine, around: Surroundings): SourceSettings {
  const takes = (kind: ScheduledKind): boolean =>
    adapter.types.includes(kind === 'incremental' ? 'incremental' : 'full')
  const { wal: _, changes: __, ...named } = policy.schedule ?? {}
  const { recovery: ___, ...levels } = policy.verify
  const schedule = policy.schedule ? named : takes('incremental') ? DEFAULT_SCHEDULE : DAILY_FULLS
  return {
    name,
    engine: adapter.kind,
    pool: policy.pool ?? null,
    config_hash: '',
    schedule: given(schedule),
    retention: { ...DEFAULT_RETENTION, ...given(policy.retention ?? {}) },
    copies: [],
    checks: policy.checks,
    verify: levels,
    encrypt: around.keyring && policy.encryption !== 'none',
    plain_allowed: policy.encryption === 'none',
    compression: policy.compression,
    artifact: adapter.artifact,
    ...(adapter.incremental_artifact === undefined ? {} : { incremental_artifact: adapter.incremental_artifact }),
    max_chain: policy.max_chain,
    at_max_chain: policy.at_max_chain,
    types: adapter.types,
    ...(adapter.keeps_former && { keeps_former: true }),
    ...(policy.hooks && { hooks: hooksOf(policy.hooks) }),
  }
}

function hooksOf({ before, after, timeout }: NonNullable<SourcePolicy['hooks']>): NonNullable<SourceSettings['hooks']> {
  return { before, after, timeout_ms: durationMs(timeout) }
}

/** In the middle between two weekly fulls, each of which proves a recovery by itself. */
const DEFAULT_RECOVERY = '0 5 * * 3'

function provesRecovery(
  { verify }: SourcePolicy,
  { wal }: Pick<SourceSettings, 'wal'>,
): Pick<SourceSettings, 'prove_recovery'> {
  const { recovery = wal === undefined ? NO_RECOVERY : DEFAULT_RECOVERY } = verify
  return recovery === NO_RECOVERY ? {} : { prove_recovery: recovery }
}

const DEFAULT_CHANGES = '60s'

/**
 * WAL is streamed, and changes are followed, where the schedule says so, and where nothing is said and a store takes them; not those of `many` files, since
 * a folder may hold thousands.
 */
function streamsOf(
  policy: SourcePolicy,
  adapter: AbleEngine,
  copies: SourceSettings['copies'],
  many: boolean,
): Pick<SourceSettings, 'wal' | 'changes' | 'streams'> {
  const { streams } = adapter
  if (streams === undefined) return {}
  const taken = copies.some(({ classes }) => classes === 'all' || classes.includes(streams))
  const byItself = policy.schedule === undefined && taken
  const { wal, changes = byItself && !many ? DEFAULT_CHANGES : undefined } = policy.schedule ?? {}
  if (streams === 'wal') return byItself || wal !== undefined ? { streams, wal: 'stream' } : { streams }
  if (changes === undefined) return { streams }
  return { streams, changes: changes === 'stream' ? STREAM_MS : durationMs(changes) }
}

/** In the order of the file: the first store that takes a class is written first. */
function copiesOf(policy: SourcePolicy, stores: readonly string[], order: readonly string[]): SourceSettings['copies'] {
  if (!policy.copies) return stores.map((store) => ({ store, classes: 'all' }))
  return order.map((store) => ({ store, classes: policy.copies?.[store] ?? [] }))
}

/** What a run of this source depends on. The schedule is not in it: it says when, not what; nor what is about restores alone. */
function workOf(settings: SourceSettings, fingerprint: unknown, around: Surroundings): unknown {
  const stores = Object.fromEntries(settings.copies.map(({ store }) => [store, around.storeFingerprint(store)]))
  const { hooks: _, keeps_former: __, prove_recovery: ___, ...rest } = settings
  const untimed = { ...rest, schedule: null, wal: null, changes: null, config_hash: null }
  return { settings: untimed, source: fingerprint, stores }
}

function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
