import type { Increment } from '@salvor/shared/ports/engine'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { Decoders } from '@salvor/repository/decoders'
import type { Manifest } from '@salvor/repository/manifest'
import { readManifest } from '@salvor/repository/open-backup'
import { openArtifact, type OpenArtifact } from '@salvor/repository/read-artifact'
import { OneAhead } from './one-ahead.ts'
import { assertSource, openStore, type TaskContext } from './task-context.ts'

/** Threads wait so long for the next link. */
export const LINGER_MS = 100

/** A full and the incrementals on it, ready to be restored. Stores are open until it is disposed. */
export interface OpenChain extends AsyncDisposable {
  readonly full: OpenArtifact
  readonly increments: readonly Increment[]
  /** Of the last link: whose state the chain holds. */
  readonly tip: Manifest
  /** Plain bytes of all artifacts together: what a restore reads. */
  readonly source_bytes: number
}

/** Every link is of `source`, and stands on the one before it: MANIFEST_INVALID otherwise. */
export async function openChain(
  chain: readonly CopyAddress[],
  source: string,
  context: TaskContext,
  onProgress: (progress: RunProgress) => void,
): Promise<OpenChain> {
  const [first, ...rest] = chain
  if (!first) throw new SalvorError('INTERNAL', { what: 'a chain without a full' })
  await using opened = new AsyncDisposableStack()
  const { threads } = context.config
  const decoders = context.decoders ?? opened.use(new Decoders(threads, LINGER_MS))
  const request = async (address: CopyAddress) => {
    const { store } = opened.use(await openStore(context, address.store))
    const { manifest_key, manifest_sha256 } = address
    return {
      store,
      manifest_key,
      manifest_sha256,
      keyring: context.keyring,
      threads,
      decoders,
      onProgress,
    }
  }
  const full = opened.use(await openArtifact(await request(first), context.signal))
  assertSource(full.manifest, source, first.manifest_key)
  const links = await Promise.all(rest.map((address) => request(address)))
  // Read side by side; what is wrong is told of the oldest.
  const documents = await Promise.allSettled(links.map((link) => readManifest(link, context.signal)))
  const ahead = opened.use(new OneAhead(links.map((link) => () => openArtifact(link, context.signal))))
  const increments: Increment[] = []
  let below = full.manifest
  let source_bytes = below.source_bytes
  for (const [n, address] of rest.entries()) {
    const document = documents[n]!
    if (document.status === 'rejected') throw document.reason
    const { manifest } = document.value
    assertSource(manifest, source, address.manifest_key)
    if (manifest.parent !== below.id) {
      throw new SalvorError('MANIFEST_INVALID', {
        key: address.manifest_key,
        reason: `it does not stand on ${below.id}`,
      })
    }
    increments.push({
      id: manifest.id,
      consistent_at: manifest.consistent_at,
      engine_facts: manifest.engine_facts,
      async open(work) {
        await using artifact = await ahead.take(n)
        return await work(artifact.content)
      },
    })
    below = manifest
    source_bytes += manifest.source_bytes
  }
  if (full.manifest.parent !== null) {
    throw new SalvorError('MANIFEST_INVALID', { key: first.manifest_key, reason: 'a chain begins with a full' })
  }
  const kept = opened.move()
  return { full, increments, tip: below, source_bytes, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
