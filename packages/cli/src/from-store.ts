import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog, openCatalogSoon } from '@salvor/catalog/open-catalog'
import { findStored } from '@salvor/repository/find-stored'
import { loadConfig } from '@salvor/runtime/config/load-config'
import type { LoadedConfig } from '@salvor/runtime/config/loaded-config'
import { isStoreUrl, storeOfUrl, storeOnlyText } from '@salvor/runtime/config/store-url'
import { openRuntime, type OpenCatalog, type Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Failure } from '@salvor/shared/vocabulary/run'
import pc from 'picocolors'
import { environmentWith, openForCommand, type CommandNeeds, type GlobalOptions } from './context.ts'

/** A runtime whose catalog was made of what lies in one store, for as long as the command runs. */
export interface StoreRuntime extends Runtime {
  /** The name of the store. */
  readonly store: string
  /** Manifests that could not be trusted, or whose artifact is not there. */
  readonly unreadable: readonly { readonly key: string; readonly error: Failure }[]
}

/**
 * Opens a store alone: by URL without any configuration (where there is one, its keys serve), by name with it. No catalog is
 * needed, and the one of this machine is not touched. STORE_UNKNOWN for a name that the configuration lacks; the first
 * problem where the store has manifests and none is good.
 */
export async function openFromStore(
  options: GlobalOptions,
  from: string,
  needs: CommandNeeds,
  signal: AbortSignal,
): Promise<StoreRuntime> {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'salvor-from-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const env = environmentWith(needs.keys)
  const passing: OpenCatalog = (wish) => openCatalog({ ...wish, url: null, data_dir: folder })
  const { keys: _, ...expected } = needs
  openCatalogSoon()
  const common = { env, openCatalog: passing, ...expected }
  const block = isStoreUrl(from) ? storeOfUrl(from, env) : null
  const runtime = opened.use(
    block === null
      ? await openRuntime({ ...common, config_file: options.config })
      : await openRuntime({
          ...common,
          config_file: '--from',
          config_text: storeOnlyText(block, await present(options.config, env), folder),
        }),
  )
  const store = block === null ? from : String(block['kind'])
  const unreadable = await fill(runtime.deps, store, signal)
  const kept = opened.move()
  return { ...runtime, store, unreadable, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Null: this machine has no configuration. One that is there and wrong is told. */
async function present(file: string, env: NodeJS.ProcessEnv): Promise<LoadedConfig | null> {
  try {
    return await loadConfig(file, env)
  } catch (error) {
    if (error instanceof SalvorError && error.code === 'CONFIG_MISSING') return null
    throw error
  }
}

async function fill({ catalog, keyring, ...deps }: Deps, store: string, signal: AbortSignal) {
  const unreadable: { key: string; error: Failure }[] = []
  let first: SalvorError | null = null
  let good = 0
  for await (const { kind, found } of findStored(deps.store(store), keyring, signal)) {
    if (found.error !== null) {
      if (kind === 'backup') first ??= found.error
      unreadable.push({ key: found.key, error: found.error.toFailure() })
      continue
    }
    if (kind !== 'backup') {
      await catalog.transaction({ service: 'cli' }, (tx) =>
        kind === 'wal' ? tx.recordWal(found.file, store) : tx.recordChangeSet(found.file, store),
      )
      continue
    }
    const { backup, artifact_key: key } = found
    good += 1
    await catalog.transaction({ service: 'cli' }, async (tx) => {
      await tx.recordBackup(backup)
      const copy = { backup_id: backup.id, store, state: 'completed', stored_at: null, upload: null } as const
      await tx.recordCopy({ ...copy, key })
    })
  }
  if (good === 0 && first !== null) throw first
  return unreadable
}

/** What `--from` of a command that also works by the catalog opens: the store alone where the catalog does not know what is asked for. */
export async function openWithFrom(
  options: GlobalOptions,
  from: string | undefined,
  needs: CommandNeeds,
  knows: (runtime: Runtime) => Promise<boolean>,
  signal: AbortSignal,
): Promise<Runtime | StoreRuntime> {
  if (from === undefined) return openForCommand(options, needs)
  if (isStoreUrl(from)) return openFromStore(options, from, needs, signal)
  const runtime = await openForCommand(options, needs)
  try {
    if (!runtime.deps.settings().stores.has(from)) throw new SalvorError('STORE_UNKNOWN', { store: from })
    if (await knows(runtime)) return runtime
  } catch (error) {
    await runtime[Symbol.asyncDispose]()
    throw error
  }
  await runtime[Symbol.asyncDispose]()
  return openFromStore(options, from, needs, signal)
}

/** The name under which the runtime has the store that was asked for. */
export function storeIn(runtime: Runtime | StoreRuntime, from: string | undefined): string | undefined {
  return 'store' in runtime ? runtime.store : from
}

export function unreadableIn(runtime: Runtime | StoreRuntime): StoreRuntime['unreadable'] {
  return 'unreadable' in runtime ? runtime.unreadable : []
}

export function unreadableLines(unreadable: StoreRuntime['unreadable']): string[] {
  return unreadable.map(({ key, error: { message } }) => {
    return `${pc.yellow('!')} ${message.startsWith(key) ? message : `${key}: ${message}`}`
  })
}
