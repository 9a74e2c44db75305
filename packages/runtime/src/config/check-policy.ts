import { parseCron } from '@salvor/policy/schedule'
import type { EngineAdapter } from '@salvor/shared/ports/engine'
import { durationMs } from '@salvor/shared/vocabulary/amounts'
import { RETENTION_CLASSES } from '@salvor/shared/vocabulary/backup'
import { ScheduledKinds, type CompressionChoice, type SourcePolicy } from '@salvor/shared/vocabulary/source'
import type { AbleEngine } from './able-engine.ts'
import { suggestion } from './nearest.ts'
import type { KeyPath } from './problems.ts'
import type { YamlTree } from './yaml-tree.ts'

/** `changes: stream`: a set every second in which something was committed. */
export const STREAM_MS = 1_000

interface Checked {
  readonly policy: SourcePolicy
  readonly adapter: EngineAdapter
  readonly able: AbleEngine
  readonly path: KeyPath
  readonly tree: YamlTree
}

/** Adds a problem for each rule of a source that its engine, or the rest of the file, does not allow. */
export function checkPolicy(
  { policy, adapter, able, path, tree }: Checked,
  { timezone, storeNames }: { readonly timezone: string; readonly storeNames: readonly string[] },
): void {
  checkSchedule(policy, able, path, timezone, tree)
  checkStreams(policy, able, path, tree)
  checkRecovery(policy, able, path, timezone, tree)
  checkCopies(policy, path, storeNames, tree)
  if (policy.retention?.pitr !== undefined && able.streams !== 'changes') {
    const reason = `what ${able.called} needs for every instant is not deleted by age yet`
    tree.problems.add([...path, 'retention', 'pitr'], reason, 'remove this key')
  }
  if (policy.compression.algorithm === 'gzip' && policy.compression.level > 9) {
    tree.problems.add([...path, 'compression', 'level'], 'gzip has levels 1 to 9', 'write a level from 1 to 9')
  }
  const { compression }: { readonly compression: CompressionChoice } = policy
  if (compression.at === 'source' && (!adapter.compresses_at_source || able.called !== adapter.kind)) {
    const reason = `${able.called} sources send nothing compressed`
    tree.problems.add([...path, 'compression', 'at'], reason, 'remove this key')
  }
  if (policy.at_max_chain === 'merge' && !adapter.merges) {
    const reason = `chains of ${adapter.kind} backups cannot be merged yet`
    tree.problems.add([...path, 'at_max_chain'], reason, 'remove this key: a full is taken instead')
  }
}

const STREAMS = [
  { key: 'wal', none: 'has no WAL to stream', untaken: 'no store takes the WAL' },
  { key: 'changes', none: 'has no changes to follow', untaken: 'no store takes change sets' },
] as const

function checkStreams(policy: SourcePolicy, adapter: AbleEngine, path: KeyPath, tree: YamlTree): void {
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

function checkSchedule(
  policy: SourcePolicy,
  adapter: AbleEngine,
  path: KeyPath,
  timezone: string,
  tree: YamlTree,
): void {
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

/** `verify: { recovery: none }`. */
export const NO_RECOVERY = 'none'

function checkRecovery(
  { verify: { recovery } }: SourcePolicy,
  { called, streams }: AbleEngine,
  path: KeyPath,
  timezone: string,
  tree: YamlTree,
): void {
  if (recovery === undefined || recovery === NO_RECOVERY) return
  const at = [...path, 'verify', 'recovery']
  if (streams !== 'wal') tree.problems.add(at, `${called} has no WAL to recover by`, 'remove this key')
  const wrong = parseCron(recovery, timezone)
  if (wrong !== null) {
    const reason = `${JSON.stringify(recovery)} is no schedule: ${wrong}`
    tree.problems.add(at, reason, 'write five cron fields, such as "0 5 * * *", or none')
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
