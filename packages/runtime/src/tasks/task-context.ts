import type { Decoders } from '@salvor/repository/decoders'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Clock } from '@salvor/shared/ports/clock'
import type { ByteSink, Engine, EngineContext } from '@salvor/shared/ports/engine'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Log } from '@salvor/shared/ports/log'
import type { Store } from '@salvor/shared/ports/store'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { LoadedConfig } from '../config/loaded-config.ts'

/** What a task works with, in whichever process it runs. */
export interface TaskContext {
  readonly config: LoadedConfig
  readonly keyring: KeyRing
  readonly clock: Clock
  readonly log: Log
  /** A private folder of this run; the caller removes it. */
  readonly scratch_dir: string
  readonly progress: (progress: RunProgress) => void
  readonly signal: AbortSignal
  /** Where a restore to `-` goes. Absent: nowhere. */
  readonly output?: ByteSink | undefined
  /** Threads that were started ahead. */
  readonly decoders?: Decoders | undefined
}

export type TaskBody<K extends keyof TaskTable> = (
  input: TaskTable[K]['input'],
  context: TaskContext,
) => Promise<TaskTable[K]['output']>

/** A store that is closed at the end of the block. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: Store
}

export async function openStore(context: TaskContext, name: string): Promise<OpenedStore> {
  const store = await context.config.openStore(name)
  return { store, [Symbol.asyncDispose]: () => store.close() }
}

export function engineContext(source: string, context: TaskContext): EngineContext {
  const { scratch_dir, log, clock, config, progress } = context
  const { server_programs, settings } = config
  const compress_at_source = settings.sources.get(source)?.compression.at === 'source'
  return { source, scratch_dir, log, now: () => clock.now(), progress, server_programs, compress_at_source }
}

/** The engine that a backup was taken with: of its source, or alone where the source is gone or has another engine by now. */
export async function engineOfBackup(source: string, kind: string, context: TaskContext): Promise<Engine> {
  const settings = context.config.settings.sources.get(source)
  const given = engineContext(source, context)
  if (settings?.engine === kind) return await context.config.openEngine(source, given)
  return await context.config.openEngineForRestore(kind, given)
}

/** The manifest in a store must be of the source that was asked for: a store is not trusted with that. */
export function assertSource(manifest: { readonly source: string }, source: string, key: string): void {
  if (manifest.source === source) return
  throw new SalvorError('MANIFEST_INVALID', { key, reason: `it is of another source than ${source}` })
}
