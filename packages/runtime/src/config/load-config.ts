import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChannelAdapter } from '@salvor/shared/ports/channel'
import type { Settings } from '@salvor/shared/ports/service'
import type { StoreAdapter } from '@salvor/shared/ports/store'
import { installedAdapters, type Adapters } from '../adapters/installed-adapters.ts'
import { hashOf } from './config-hash.ts'
import { SECTION_SECRETS, SECTIONS, TOP_KEYS } from './file-schema.ts'
import type { Environment, LoadedConfig } from './loaded-config.ts'
import { openers } from './open-adapters.ts'
import { parseSection, reportUnknownKey } from './parse-section.ts'
import { refusePlainAbroad } from './plain-abroad.ts'
import { readChannels, readStores, type Adapted } from './read-adapters.ts'
import { mappingAt, readBlock, type Reading } from './read-block.ts'
import { readRoutes } from './read-routes.ts'
import { readSources, type Sources } from './read-sources.ts'
import { type DigestSecret, secretDigest } from './secret-values.ts'
import { readYaml } from './yaml-tree.ts'

/** Reads, checks and resolves a configuration file. CONFIG_MISSING, or one CONFIG_INVALID that lists everything wrong. */
export async function loadConfig(
  file: string,
  env: Environment,
  adapters: Adapters = installedAdapters,
): Promise<LoadedConfig> {
  const absolute = resolve(file)
  const text = await readFile(absolute, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new SalvorError('CONFIG_MISSING', { file }, error)
    const facts = {
      file,
      line: '1',
      key: 'the file',
      reason: `cannot be read (${error.code})`,
      fix: 'make it readable',
    }
    throw new SalvorError('CONFIG_INVALID', facts, error)
  })
  return await parseConfig(text, absolute, env, adapters)
}

/** As `loadConfig`, for a text that was read from `file` before. Secret files are read anew. With `undigested`, hashes say nothing of secrets. */
export async function parseConfig(
  text: string,
  file: string,
  env: Environment,
  adapters: Adapters = installedAdapters,
  digest: DigestSecret = secretDigest,
): Promise<LoadedConfig> {
  const tree = readYaml(text, file, env)
  const reading: Reading = { tree, folder: dirname(file), secrets: new Set(), digest }
  const top = mappingAt(tree.value, [], tree) ?? {}
  for (const key of tree.keys([])) if (!TOP_KEYS.includes(key)) reportUnknownKey([key], TOP_KEYS, tree)
  const base = await readSections(top, reading)
  const stores = await readStores(top['stores'], reading, adapters)
  const sources = await readSources(
    top['sources'],
    {
      timezone: base.timezone ?? 'UTC',
      storeNames: tree.keys(['stores']),
      storeFingerprint: (name) => [stores.get(name)?.kind, stores.get(name)?.fingerprint],
      keyring: base.encryption !== undefined,
    },
    reading,
    adapters,
  )
  const notify = mappingAt(top['notify'], ['notify'], tree) ?? {}
  const channels = await readChannels(notify, reading, adapters)
  const names = tree.keys(['notify']).filter((name) => name !== 'routes')
  const routes = readRoutes(notify['routes'], names, tree)
  await refusePlainAbroad(sources.written, stores, tree)
  tree.problems.throwIfAny()
  const parts = { base: base as Required<Base>, stores, sources, channels, routes, env }
  const config = assemble(text, file, reading, parts, adapters)
  const other = env[KEYRING_VARIABLE]
  return other ? { ...config, keyring_file: resolve(other) } : config
}

/** A path: another keyring for one command (`--keys`), which reaches its task processes too. */
export const KEYRING_VARIABLE = 'SALVOR_KEYRING_FILE'

type Base = Awaited<ReturnType<typeof readSections>>

/** Each section by itself, so that a mistake in one hides none in another. */
async function readSections(top: Readonly<Record<string, unknown>>, reading: Reading) {
  const { tree } = reading
  const read = <T>(key: string, schema: z.ZodType<T>): T | undefined =>
    parseSection(schema, top[key] ?? undefined, [key], tree)
  const address = async (key: 'catalog' | 'redis') => {
    const raw = mappingAt(top[key], [key], tree)
    return raw && (await readBlock({ schema: SECTIONS[key], secrets: SECTION_SECRETS[key] }, raw, [key], [], reading))
  }
  return {
    timezone: read('timezone', SECTIONS.timezone),
    data_dir: read('data_dir', SECTIONS.data_dir),
    sandbox_dir: read('sandbox_dir', SECTIONS.sandbox_dir),
    encryption: read('encryption', SECTIONS.encryption),
    verifier: read('verifier', SECTIONS.verifier),
    http: read('http', SECTIONS.http),
    worker: read('worker', SECTIONS.worker),
    catalog: await address('catalog'),
    redis: await address('redis'),
  }
}

interface Parts {
  readonly base: Required<Base>
  readonly stores: ReadonlyMap<string, Adapted<StoreAdapter>>
  readonly sources: Sources
  readonly channels: ReadonlyMap<string, Adapted<ChannelAdapter>>
  readonly routes: Settings['routes']
  readonly env: Environment
}

function assemble(text: string, file: string, reading: Reading, parts: Parts, adapters: Adapters): LoadedConfig {
  const { base, stores, sources, channels, routes } = parts
  const at = (path: string): string => resolve(reading.folder, path)
  const data_dir = at(base.data_dir!)
  const settings: Settings = {
    pools: base.worker!.pools,
    timezone: base.timezone!,
    data_dir,
    sources: new Map([...sources.blocks].map(([name, source]) => [name, source.settings])),
    fleets: sources.fleets,
    stores: new Map([...stores].map(([name, { kind }]) => [name, { name, kind }])),
    routes,
  }
  const keyring = base.encryption?.keyring_file
  return {
    file,
    text,
    variables: reading.tree.variables,
    settings,
    catalog_url: base.catalog?.config.url || null,
    redis_url: base.redis?.config.url || null,
    keyring_file: keyring === undefined ? null : at(keyring),
    sandbox_dir: base.sandbox_dir === undefined ? join(data_dir, 'sandbox') : at(base.sandbox_dir),
    server_programs: base.verifier!.postgres_bin.map(at),
    pools: base.worker!.pools,
    threads: base.worker!.threads ?? Math.min(4, availableParallelism()),
    http_port: base.http!.port ?? null,
    secrets: [...reading.secrets],
    hash: hashOf([
      sections(base),
      routes,
      prints(stores),
      prints(channels),
      [...sources.blocks.values()].map(({ settings: { name, config_hash, schedule } }) => [
        name,
        config_hash,
        schedule,
      ]),
    ]),
    ...openers(stores, sources.blocks, channels, adapters, parts.env),
  }
}

/** The sections, digests in place of addresses. */
function sections({ catalog, redis, ...base }: Base): unknown {
  return { ...base, catalog: catalog?.fingerprint, redis: redis?.fingerprint }
}

function prints(adapted: ReadonlyMap<string, Adapted<unknown>>): unknown {
  return [...adapted.values()].map(({ name, kind, fingerprint }) => ({ name, kind, fingerprint }))
}
