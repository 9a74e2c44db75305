import { parseCron } from '@salvor/policy/schedule'
import type { EngineAdapter } from '@salvor/shared/ports/engine'
import type { FleetSettings, SourceSettings } from '@salvor/shared/ports/service'
import { RETENTION_CLASSES } from '@salvor/shared/vocabulary/backup'
import { durationMs } from '@salvor/shared/vocabulary/amounts'
import { ScheduledKinds, SourcePolicy, type ScheduledKind } from '@salvor/shared/vocabulary/source'
import type { Adapters } from '../adapters/installed-adapters.ts'
import { hashOf } from './config-hash.ts'
import { suggestion } from './nearest.ts'
import { parseSection } from './parse-section.ts'
import type { KeyPath } from './problems.ts'
import { checkName, loadKind } from './read-adapters.ts'
import { mappingAt, readBlock, type Block, type Reading } from './read-block.ts'
import { readFiles } from './read-files.ts'
import type { YamlTree } from './yaml-tree.ts'

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
  checkSchedule(policy, able, path, around.timezone, tree)
  checkStreams(policy, able, path, tree)
  const kept = `what ${able.called} needs for every instant is not deleted by age yet`
  if (policy.retention?.pitr !== undefined && able.streams !== 'changes')
    tree.problems.add([...path, 'retention', 'pitr'], kept, 'remove this key')
  checkCopies(policy, path, around.storeNames, tree)
  if (policy.compression.algorithm === 'gzip' && policy.compression.level > 9) {
    tree.problems.add([...path, 'compression', 'level'], 'gzip has levels 1 to 9', 'write a level from 1 to 9')
  }
  if (policy.at_max_chain === 'merge' && !adapter.merges) {
    const reason = `chains of ${adapter.kind} backups cannot be merged yet`
    tree.problems.add([...path, 'at_max_chain'], reason, 'remove this key: a full is taken instead')
  }
  const blocks = files?.blocks ?? (block && new Map([[name, block]]))
  if (!blocks) return undefined
  const copies = copiesOf(policy, around.storeNames, tree.keys([...path, 'copies']))
  const written = {
    ...settingsOf(name, policy, able, around),
    ...streamsOf(policy, able, copies, files !== undefined),
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

type Able = Pick<EngineAdapter, 'kind' | 'artifact' | 'incremental_artifact' | 'streams' | 'types' | 'keeps_former'> & {
  readonly called: string
}

/** What the engine can do with a source of this configuration. */
function ableOf(adapter: EngineAdapter, config: unknown): Able {
  const { kind, artifact, incremental_artifact, streams, types, keeps_former } = adapter
  const limits = config === undefined ? null : (adapter.limits?.(config) ?? null)
  if (limits !== null) return { kind, artifact, ...limits }
  return {
    kind,
    artifact,
    types,
    called: kind,
    ...(incremental_artifact && { incremental_artifact }),
    ...(streams && { streams }),
    ...(keeps_former && { keeps_former }),
  }
}

function settingsOf(name: string, policy: SourcePolicy, adapter: Able, around: Surroundings): SourceSettings {
  const takes = (kind: ScheduledKind): boolean =>
    adapter.types.includes(kind === 'incremental' ? 'incremental' : 'full')
  const { wal: _, changes: __, ...named } = policy.schedule ?? {}
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
    verify: policy.verify,
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

/** `changes: stream`: a set every second in which something was committed. */
const STREAM_MS = 1_000
const DEFAULT_CHANGES = '60s'

/**
 * WAL is streamed, and changes are followed, where the schedule says so, and where nothing is said and a store takes them; not those of `many` files, since
 * each that is followed takes a process of its own.
 */
function streamsOf(
  policy: SourcePolicy,
  adapter: Able,
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

const STREAMS = [
  { key: 'wal', none: 'has no WAL to stream', untaken: 'no store takes the WAL' },
  { key: 'changes', none: 'has no changes to follow', untaken: 'no store takes change sets' },
] as const

function checkStreams(policy: SourcePolicy, adapter: Able, path: KeyPath, tree: YamlTree): void {
  for (const { key, none, untaken } of STREAMS) {
    const wish = policy.schedule?.[key]
    if (wish === undefined) continue
    const at = [...path, 'schedule', key]
    if (adapter.streams !== key) tree.problems.add(at, `${adapter.called} ${none}`, 'remove this key')
    const taken = !policy.copies || Object.values(policy.copies).some((c) => c === 'all' || c.includes(key))
    if (!taken) tree.problems.add(at, untaken, `add ${key} to the classes of a store under \`copies\``)
    if (wish !== 'stream' && durationMs(wish) < STREAM_MS)
      tree.problems.add(at, 'a change set is stored once a second at most', 'write stream, or a duration from 1s on')
  }
}

/** In the order of the file: the first store that takes a class is written first. */
function copiesOf(policy: SourcePolicy, stores: readonly string[], order: readonly string[]): SourceSettings['copies'] {
  if (!policy.copies) return stores.map((store) => ({ store, classes: 'all' }))
  return order.map((store) => ({ store, classes: policy.copies?.[store] ?? [] }))
}

/** What a run of this source depends on. The schedule is not in it: it says when, not what; nor what is about restores alone. */
function workOf(settings: SourceSettings, fingerprint: unknown, around: Surroundings): unknown {
  const stores = Object.fromEntries(settings.copies.map(({ store }) => [store, around.storeFingerprint(store)]))
  const { hooks: _, keeps_former: __, ...rest } = settings
  const untimed = { ...rest, schedule: null, wal: null, changes: null, config_hash: null }
  return { settings: untimed, source: fingerprint, stores }
}

function checkSchedule(policy: SourcePolicy, adapter: Able, path: KeyPath, timezone: string, tree: YamlTree): void {
  for (const kind of ScheduledKinds) {
    const cron = policy.schedule?.[kind]
    if (cron === undefined) continue
    const at = [...path, 'schedule', kind]
    const wrong = parseCron(cron, timezone)
    if (wrong !== null)
      tree.problems.add(
        at,
        `${JSON.stringify(cron)} is no schedule: ${wrong}`,
        'write five cron fields, such as "0 2 * * 0"',
      )
    if (kind === 'incremental' && !adapter.types.includes('incremental')) {
      tree.problems.add(at, `incremental backups of ${adapter.called} are not available`, 'remove this key')
    }
  }
}

function checkCopies(policy: SourcePolicy, path: KeyPath, storeNames: readonly string[], tree: YamlTree): void {
  if (!policy.copies) return
  const rules = Object.entries(policy.copies)
  for (const [store] of rules) {
    const at = [...path, 'copies', store]
    if (!storeNames.includes(store)) {
      tree.problems.add(
        at,
        `no store is called ${JSON.stringify(store)}`,
        suggestion(store, storeNames, 'name it under `stores`'),
      )
    }
  }
  const taken = (name: string): boolean => rules.some(([, c]) => c === 'all' || c.some((word) => word === name))
  const wanted = RETENTION_CLASSES.filter(
    (c) => c === 'full' || (c !== 'pre_restore' && policy.schedule?.[c] !== undefined),
  )
  const homeless = wanted.filter((c) => !taken(c))
  if (homeless.length > 0) {
    const reason = `no store takes ${homeless.join(', ')} backups`
    tree.problems.add([...path, 'copies'], reason, `add ${homeless.join(', ')} to a store, or write \`all\``)
  }
}

function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
