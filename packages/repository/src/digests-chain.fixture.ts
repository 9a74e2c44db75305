import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@salvor/shared/ports/store'
import { bytes, giving, ID, never, request, RING, TIME } from './backup.fixture.ts'
import type { DigestsAddress } from './fetch-digests.ts'
import { fetchDigests } from './fetch-digests.ts'
import { readManifest } from './open-backup.ts'
import { type BackupRequest, writeBackup } from './write-backup.ts'

/** States of which each differs a little from the one before it, and is a little longer. */
export function states(count: number): Buffer[] {
  const all = [bytes(40_000, 11)]
  for (let n = 1; n < count; n += 1) {
    const next = Buffer.concat([all.at(-1)!, bytes(80, n)])
    bytes(160, 100 + n).copy(next, 8 * ((n * 977) % 4900))
    all.push(next)
  }
  return all
}

/** Backups that stand on each other; gives the keys of their manifests. */
export async function writeDigestsChain(
  store: Store,
  all: readonly Buffer[],
  overrides: (n: number) => Partial<BackupRequest> = () => ({}),
): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-chain-'))
  const [own, base] = [join(folder, 'own'), join(folder, 'base')]
  const keys: string[] = []
  let sha256: string | null = null
  try {
    for (const [n, state] of all.entries()) {
      writeFileSync(own, state)
      const alike = [{ own: 0, base: 0, length: state.length }]
      const full = { type: 'full', retention_class: 'full', artifact: 'db', parent: null } as const
      const more = { type: 'incremental', retention_class: 'incremental', artifact: 'pages' } as const
      const stands = { parent: idOf(n - 1), parent_digests: sha256 ? { sha256, file: base } : undefined }
      const chain = Array.from({ length: n }, (_, i) => ({ id: idOf(i), filename: `${i}` }))
      const wish = request(store, {
        ...(n === 0 ? full : { ...more, ...stands, chain }),
        id: idOf(n),
        timestamp: TIME.replace('20:39:30', `20:${10 + n}:30`),
        ...overrides(n),
      })
      const give = giving(bytes(2000, n))
      const take = async (...given: Parameters<typeof give>) => ({
        ...(await give(...given)),
        digests: own,
        digests_alike: () => alike,
      })
      const { backup } = await writeBackup(wish, take, never)
      keys.push(`${backup.source}/${backup.filename.split('.')[0]}.manifest.json`)
      const address = { store, manifest_key: keys.at(-1)!, manifest_sha256: null, keyring: RING }
      sha256 = (await readManifest(address, never)).manifest.digests_sha256
      writeFileSync(base, state)
    }
    return keys
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const idOf = (n: number): string => `${ID.slice(0, -2)}${String(n).padStart(2, '0')}`

export const addresses = (store: Store, keys: readonly string[]): DigestsAddress[] =>
  keys.map((manifest_key) => ({ manifest_key, manifest_sha256: null, store: () => Promise.resolve(store) }))

/** Of the last of `keys`. */
export const fetchFrom = (store: Store, keys: readonly string[], file: string) =>
  fetchDigests(addresses(store, keys), RING, file, never)
