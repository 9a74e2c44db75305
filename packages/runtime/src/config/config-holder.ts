import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import { installedAdapters, type Adapters } from '../adapters/installed-adapters.ts'
import { loadConfig } from './load-config.ts'
import type { Environment, LoadedConfig } from './loaded-config.ts'

export type Reload = { readonly ok: true } | { readonly ok: false; readonly error: SalvorError }

/** The configuration in force: replaced whole by a reload, kept when the file is not valid. */
export interface ConfigHolder {
  readonly current: LoadedConfig
  /** Reads the file again. Two calls at once read it once each, and the one that was asked last stays. */
  reload(): Promise<Reload>
}

/** Loads `file`, or throws as `loadConfig` does: the first load has nothing to fall back on. */
export async function holdConfig(
  file: string,
  env: Environment,
  adapters: Adapters = installedAdapters,
): Promise<ConfigHolder> {
  let current = await loadConfig(file, env, adapters)
  let turn: Promise<unknown> = Promise.resolve()
  const read = async (): Promise<Reload> => {
    try {
      current = await loadConfig(file, env, adapters)
      return { ok: true }
    } catch (error) {
      return { ok: false, error: asSalvorError(error) }
    }
  }
  return {
    get current() {
      return current
    },
    reload() {
      const mine = turn.then(read)
      turn = mine
      return mine
    },
  }
}
