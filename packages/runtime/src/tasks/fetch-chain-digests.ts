import { fetchDigests } from '@salvor/repository/fetch-digests'
import type { Manifest } from '@salvor/repository/manifest'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import { openStore, type OpenedStore, type TaskContext } from './task-context.ts'

/** Brings the digests of the last of a chain into a new file; of the others what that takes. Gives the manifest of the last. */
export async function fetchChainDigests(
  chain: readonly CopyAddress[],
  file: string,
  context: TaskContext,
): Promise<Manifest> {
  await using opened = new AsyncDisposableStack()
  const stores = new Map<string, Promise<OpenedStore>>()
  const storeOf = (name: string): Promise<OpenedStore> => {
    const known = stores.get(name)
    if (known) return known
    const opening = openStore(context, name)
    stores.set(name, opening)
    opened.defer(async () => (await opening.catch(() => null))?.[Symbol.asyncDispose]())
    return opening
  }
  const addresses = chain.map(({ store, manifest_key, manifest_sha256 }) => ({
    manifest_key,
    manifest_sha256,
    store: async () => (await storeOf(store)).store,
  }))
  return await fetchDigests(addresses, context.keyring, file, context.signal)
}
