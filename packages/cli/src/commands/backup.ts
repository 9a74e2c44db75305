import { noSource } from '@salvor/policy/fleets'
import { anyLiesIn } from '@salvor/runtime/lies-in'
import { registerSources } from '@salvor/runtime/register-sources'
import type { LoadedConfig } from '@salvor/runtime/config/loaded-config'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import pc from 'picocolors'
import { rowOf } from '@salvor/repository/store-index'
import type { GlobalOptions } from '../context.ts'
import { openForCommand } from '../context.ts'
import { bytes, done, span, stateWord, type Answer } from '../output.ts'
import { perform } from '../perform.ts'
import { runFailure } from '../run-failure.ts'

export interface BackupOptions extends GlobalOptions {
  readonly type: 'full' | 'incremental' | 'archive'
  readonly wait: boolean
}

/** `salvor backup SOURCE`: exits by bytes and copies, never by the source's checks. */
export async function backup(name: string, options: BackupOptions, signal: AbortSignal): Promise<Answer> {
  // This process has SQLite files open: its catalog's.
  const inCommand = async (config: LoadedConfig) =>
    config.settings.sources.has(name) && !(await anyLiesIn(config.settings.data_dir, config.filesOpenedFor(name)))
  await using runtime = await openForCommand(options, { expects: 'snapshot', here: inCommand })
  const { deps } = runtime
  const { sources, fleets } = deps.settings()
  const source = sources.get(name)
  if (!source) throw noSource(name, fleets)
  const kind = KINDS[options.type]
  if (!source.types.includes(kind.type)) {
    throw new SalvorError('NOT_AVAILABLE', {
      what: `An incremental backup of ${source.engine}`,
      fix: `salvor backup ${name} --type full`,
    })
  }
  await registerSources(deps, 'cli')
  if (!options.wait) await refuseBusy(runtime, name)
  const wish = {
    job: 'take-backup',
    source: name,
    pool: source.pool,
    config_hash: source.config_hash,
    params: { source: name, ...kind, trigger: 'command', scheduled_for: null },
  } as const
  const { run, followers, here } = await perform(runtime, wish, {
    label: `backup ${name}`,
    quiet: options.json,
    signal,
  })
  if (run.state !== 'succeeded') throw runFailure(run)
  const { backup_id, notices, full_because } = run.result as {
    backup_id: string
    notices: readonly string[]
    full_because: string | null
  }
  const taken = await deps.catalog.backup(backup_id)
  const lacking = taken.copies.filter((copy) => copy.state === 'pending' || copy.state === 'corrupt')
  const problems = followers.flatMap((follower) =>
    follower.error && follower.state !== 'succeeded' ? [follower.error.message] : [],
  )
  const ratio = taken.source_bytes / Math.max(1, taken.size_bytes)
  const lines = [
    `${pc.green('✓')} ${name}  ${taken.filename}`,
    `  ${bytes(taken.source_bytes)} → ${bytes(taken.size_bytes)} (${ratio.toFixed(1)}:1${taken.encrypted ? ', encrypted' : ''}) in ${span(taken.duration_ms)}, consistent at ${taken.consistent_at}`,
    ...taken.copies.map((copy) => `  ${copy.store}: ${stateWord(copy.state)}  ${copy.key}`),
    ...(full_because === null ? [] : [`  ${pc.yellow('note')} a full was taken, no incremental: ${full_because}`]),
    ...notices.map((notice) => `  ${pc.yellow('note')} ${notice}`),
    ...problems.map((problem) => `  ${pc.red('!')} ${problem}`),
    ...(here ? [`  prove it: salvor verify ${taken.id.slice(0, 13)} --level restore`] : []),
  ]
  return done({ backup: rowOf(taken), notices, full_because }, lines, lacking.length > 0 ? EXIT.incomplete : EXIT.done)
}

const KINDS: Record<BackupOptions['type'], { type: 'full' | 'incremental'; retention_class: RetentionClass }> = {
  full: { type: 'full', retention_class: 'full' },
  incremental: { type: 'incremental', retention_class: 'incremental' },
  archive: { type: 'full', retention_class: 'monthly' },
}

async function refuseBusy(runtime: Runtime, source: string): Promise<void> {
  const [held] = await runtime.deps.catalog.leases(`source:${source}`)
  if (held?.name === `source:${source}`) throw new SalvorError('SOURCE_BUSY', { source })
}
