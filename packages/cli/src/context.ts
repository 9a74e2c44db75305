import { resolve } from 'node:path'
import { openCatalog, openCatalogSoon } from '@salvor/catalog/open-catalog'
import { KEYRING_VARIABLE } from '@salvor/runtime/config/load-config'
import { openRuntime, type Runtime, type RuntimeOptions } from '@salvor/runtime/open-runtime'
import type { Command } from 'commander'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config: string
  readonly json: boolean
}

export function globalOptions(command: Command): GlobalOptions {
  const { config, json } = command.optsWithGlobals<{ config?: string; json?: boolean }>()
  return { config: config ?? process.env['SALVOR_CONFIG'] ?? 'salvor.yaml', json: json === true }
}

export interface CommandNeeds {
  /** Another keyring file than the configured one. */
  readonly keys?: string | undefined
  /** The task that the command is about to run; `here`: in its own process. */
  readonly expects?: NonNullable<RuntimeOptions['expects']>
  readonly here?: NonNullable<RuntimeOptions['here']>
}

/** The environment of a command whose keyring may be another than the configured one. */
export function environmentWith(keys: string | undefined): NodeJS.ProcessEnv {
  return keys === undefined ? process.env : { ...process.env, [KEYRING_VARIABLE]: resolve(keys) }
}

/** Configuration, catalog and adapters for one command, without workers or a queue. */
export function openForCommand(options: GlobalOptions, { keys, ...expected }: CommandNeeds = {}): Promise<Runtime> {
  if (expected.expects !== undefined) openCatalogSoon()
  return openRuntime({ config_file: options.config, env: environmentWith(keys), openCatalog, ...expected })
}
