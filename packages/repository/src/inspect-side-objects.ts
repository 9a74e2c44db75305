import type { Store } from '@salvor/shared/ports/store'
import type { CheckList } from './check-list.ts'
import { StreamHash } from './hash.ts'
import type { Manifest } from './manifest.ts'
import { corrupt, digestsKeyOf, keysOf } from './open-backup.ts'

/** The digests as stored against the manifest. Their seal is opened by the worker that needs them, not here. */
export async function checkDigests(
  list: CheckList,
  manifest: Manifest,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  await list.run('digests', async () => {
    const key = digestsKeyOf(manifest)
    const { hex, bytes } = await hashObject(store, key, signal)
    if (hex !== manifest.digests_sha256) throw corrupt(manifest, key, 'its SHA-256 is not that of the manifest')
    return { value: true, detail: `${bytes} bytes` }
  })
}

/** A script is run by a person on their worst day: it must be the one whose SHA-256 RECOVERY.md names, which the manifest signs for. */
export async function checkScript(
  list: CheckList,
  manifest: Manifest,
  recovery: Buffer | null,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  await list.run('recover-script', async () => {
    const key = keysOf(manifest).recoverScript
    const { hex, bytes } = await hashObject(store, key, signal)
    if (!recovery?.includes(hex)) throw corrupt(manifest, key, 'its SHA-256 is not the one that RECOVERY.md names')
    return { value: true, detail: `${bytes} bytes` }
  })
}

async function hashObject(store: Store, key: string, signal: AbortSignal): Promise<{ hex: string; bytes: number }> {
  const hash = new StreamHash()
  for await (const chunk of store.read(key, null, signal)) hash.update(chunk)
  return { hex: hash.hex(), bytes: hash.bytes }
}
