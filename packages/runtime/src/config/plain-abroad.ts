import type { SourceSettings } from '@salvor/shared/ports/service'
import type { StoreAdapter } from '@salvor/shared/ports/store'
import type { Adapted } from './read-adapters.ts'
import type { YamlTree } from './yaml-tree.ts'

/** Reports each source whose unencrypted backups would leave this machine without the operator having said so. */
export async function refusePlainAbroad(
  sources: readonly SourceSettings[],
  stores: ReadonlyMap<string, Adapted<StoreAdapter>>,
  tree: YamlTree,
): Promise<void> {
  const remote = new Map<string, boolean>()
  for (const settings of sources) {
    if (settings.encrypt || settings.plain_allowed) continue
    for (const { store } of settings.copies) {
      const adapted = stores.get(store)
      if (!adapted) continue
      if (!remote.has(store)) remote.set(store, await isRemote(adapted))
      if (!remote.get(store)) continue
      const fix = 'salvor keys create, then set encryption.keyring_file; or say `encryption: none` here'
      const reason = `backups would go to store ${store}, which is not local, without encryption`
      tree.problems.add(['sources', settings.name], reason, fix)
    }
  }
}

async function isRemote({ adapter, name, config }: Adapted<StoreAdapter>): Promise<boolean> {
  const store = adapter.open(name, config)
  const { remote } = store.capabilities
  await store.close()
  return remote
}
