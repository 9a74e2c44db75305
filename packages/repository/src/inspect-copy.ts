import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { MAX_DOCUMENT_BYTES } from './canonical-json.ts'
import { CheckList } from './check-list.ts'
import { checkArtifactBytes, decodeArtifact } from './inspect-artifact.ts'
import type { Manifest } from './manifest.ts'
import { checkDigests, checkScript } from './inspect-side-objects.ts'
import { type CopyAddress, corrupt, keysOf, openDataKey, readArtifactIndex, readManifest } from './open-backup.ts'
import { readObject } from './read-object.ts'
import { sha256 } from './hash.ts'
import { listKeyFiles, parseWrappedKeys } from './wrapped-keys.ts'

const MAX_RECOVERY_BYTES = 1 << 20

export interface InspectRequest extends CopyAddress {
  /** checksum: sizes, SHA-256 and signatures, no private key needed · decode: every frame decrypted and decompressed too. */
  readonly level: 'checksum' | 'decode'
  readonly threads: number
  readonly monotonicMs: () => number
  readonly onProgress: (progress: RunProgress) => void
}

/**
 * Looks at one copy and says what is good and what is not, region by region: manifest, index, keys, recovery, digests, recover-script, artifact-checksum,
 * and for `decode` frames and tags. Bad bytes never throw; a store that cannot be reached and a key that is missing here do.
 */
export async function inspectCopy(request: InspectRequest, signal: AbortSignal): Promise<Check[]> {
  const { store } = request
  const list = new CheckList(request.monotonicMs)
  const manifest = await list.run('manifest', async () => {
    const { manifest, signer } = await readManifest(request, signal)
    return {
      value: manifest,
      detail: signer === 'trusted' ? 'signed by a key of the keyring' : 'signed by an unknown key',
    }
  })
  if (!manifest) return list.checks
  const index = await list.run('index', async () => {
    const value = await readArtifactIndex(manifest, store, signal)
    return { value, detail: `${value.frames.count} frames in ${value.segments.length} segments` }
  })
  const keysGood = await checkKeys(list, manifest, request, signal)
  const recovery = await list.run('recovery', async () => {
    const key = keysOf(manifest).recovery
    const file = await readObject(store, key, MAX_RECOVERY_BYTES, signal)
    if (sha256(file) !== manifest.recovery_sha256)
      throw corrupt(manifest, key, 'its SHA-256 is not that of the manifest')
    return { value: file, detail: `${file.length} bytes` }
  })
  if (manifest.digests_sha256 !== null) await checkDigests(list, manifest, store, signal)
  if (manifest.type === 'incremental') await checkScript(list, manifest, recovery, store, signal)
  if (request.level === 'checksum') await checkArtifactBytes(list, { ...request, manifest, index }, signal)
  else await decodeOrSayWhyNot(list, request, manifest, index, keysGood, signal)
  return list.checks
}

async function decodeOrSayWhyNot(
  list: CheckList,
  request: InspectRequest,
  manifest: Manifest,
  index: Awaited<ReturnType<typeof readArtifactIndex>> | null,
  keysGood: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (index && keysGood) {
    const dataKey = await openDataKey(manifest, request, signal)
    try {
      return await decodeArtifact(list, { ...request, manifest, index, dataKey }, signal)
    } finally {
      dataKey?.fill(0)
    }
  }
  await checkArtifactBytes(list, { ...request, manifest, index }, signal)
  list.add('frames', false, `not decoded: the ${index ? 'keys are' : 'index is'} not good`)
}

/** Every key file is checked; the backup can be opened when one is good. At `decode` one of them is opened. */
async function checkKeys(
  list: CheckList,
  manifest: Manifest,
  request: InspectRequest,
  signal: AbortSignal,
): Promise<boolean> {
  if (!manifest.encryption) return true
  const { store, keyring, level } = request
  const files = await listKeyFiles(manifest, store, signal)
  let good = 0
  for (const key of files) {
    const found = await list.run('keys', async () => {
      const file = await readObject(store, key, MAX_DOCUMENT_BYTES, signal)
      const { wrapped } = parseWrappedKeys(file, key, manifest, keyring).body
      return { value: key, detail: `${key} holds ${wrapped.length} wrapped keys` }
    })
    if (found) good++
  }
  if (files.length === 0) list.add('keys', false, 'the store has no key file of this backup')
  if (good === 0 || level === 'checksum') return good > 0
  const opened = await list.run('data-key', async () => {
    const dataKey = await openDataKey(manifest, request, signal)
    dataKey?.fill(0)
    return { value: true, detail: 'opens, and is the key that the manifest commits to' }
  })
  return opened !== null
}
