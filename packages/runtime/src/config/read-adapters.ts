import type { ChannelAdapter } from '@salvor/shared/ports/channel'
import type { EngineAdapter } from '@salvor/shared/ports/engine'
import type { StoreAdapter } from '@salvor/shared/ports/store'
import { Name } from '@salvor/shared/vocabulary/source'
import type { AdapterRole, Adapters } from '../adapters/installed-adapters.ts'
import { suggestion } from './nearest.ts'
import type { KeyPath } from './problems.ts'
import { mappingAt, readBlock, type Block, type Reading } from './read-block.ts'
import type { YamlTree } from './yaml-tree.ts'

/** A store or channel of the file, ready to be opened. */
export interface Adapted<A> extends Block<unknown> {
  readonly name: string
  readonly kind: string
  readonly adapter: A
}

/** `stores:`, by name in the order of the file; what is wrong with one is reported and leaves it out. */
export async function readStores(
  value: unknown,
  reading: Reading,
  adapters: Adapters,
): Promise<Map<string, Adapted<StoreAdapter>>> {
  const all = mappingAt(value, ['stores'], reading.tree)
  if (all && Object.keys(all).length === 0) {
    reading.tree.problems.add(
      ['stores'],
      'no store is named',
      'write `stores: { local: { kind: local, path: ./backups } }`',
    )
  }
  return await readNamed('store', 'stores', all ?? {}, [], reading, adapters)
}

/** The channels of `notify:`. */
export async function readChannels(
  value: Readonly<Record<string, unknown>>,
  reading: Reading,
  adapters: Adapters,
): Promise<Map<string, Adapted<ChannelAdapter>>> {
  return await readNamed('channel', 'notify', value, ['routes'], reading, adapters)
}

async function readNamed<R extends 'store' | 'channel'>(
  role: R,
  section: string,
  all: Readonly<Record<string, unknown>>,
  except: readonly string[],
  reading: Reading,
  adapters: Adapters,
): Promise<Map<string, Adapted<R extends 'store' ? StoreAdapter : ChannelAdapter>>> {
  type A = R extends 'store' ? StoreAdapter : ChannelAdapter
  const found = new Map<string, Adapted<A>>()
  for (const name of reading.tree.keys([section])) {
    const path = [section, name]
    if (except.includes(name) || !checkName(name, path, reading.tree)) continue
    const raw = mappingAt(all[name], path, reading.tree)
    if (!raw) continue
    const adapter = (await loadKind(role, raw['kind'], [...path, 'kind'], reading.tree, adapters)) as A | null
    const block = adapter && (await readBlock<unknown>(adapter, raw, path, ['kind'], reading))
    if (adapter && block) found.set(name, { ...block, name, kind: adapter.kind, adapter })
  }
  return found
}

/** Names become keys and file names, so they are plain. */
export function checkName(name: string, path: KeyPath, tree: YamlTree): boolean {
  const parsed = Name.safeParse(name)
  if (!parsed.success) {
    tree.problems.add(path, `${JSON.stringify(name)} cannot be a name`, `write ${parsed.error.issues[0]!.message}`)
  }
  return parsed.success
}

/** The adapter of a kind that the file names; null: there is none, which is reported. */
export async function loadKind(
  role: AdapterRole,
  kind: unknown,
  path: KeyPath,
  tree: YamlTree,
  adapters: Adapters,
): Promise<EngineAdapter | StoreAdapter | ChannelAdapter | null> {
  const kinds = await adapters.kinds(role)
  const key = String(path.at(-1))
  if (typeof kind !== 'string' || kind === '') {
    tree.problems.add(path, 'is required', `write ${key}: ${kinds.join(' | ')}`)
    return null
  }
  const adapter = await adapters.load(role, kind)
  if (adapter === null) {
    tree.problems.add(path, `no ${role} of kind ${JSON.stringify(kind)}`, suggestion(kind, kinds, `none is installed`))
  }
  return adapter
}
