import { createCipheriv, createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { type KeyFile, parseKeyFile } from './key-file.ts'
import { openKeyring } from './keyring.ts'
import type { BackupRequest } from './write-backup.ts'

export const TIME = '2025-11-27T20:39:30.294774Z'
export const ID = '019ac6f5-77f6-7c31-8000-0123456789ab'
export const STEM = 'backup_full_20251127_203930'
export const AT = `clinic/${STEM}`
export const MANIFEST = `${AT}.manifest.json`
export const never: AbortSignal = new AbortController().signal

/** Keys for tests only, frozen because RSA keys take their time. Everybody can read them: they protect nothing. */
export const GOLDEN: URL = new URL('../golden/v1/', import.meta.url)
export const KEYS: { readonly keyring: KeyFile; readonly recovery: string } = {
  keyring: parseKeyFile(readFileSync(new URL('salvor-keys.json', GOLDEN)), 'salvor-keys.json'),
  recovery: readFileSync(new URL('recovery.pem', GOLDEN), 'utf8'),
}
export const RING: KeyRing = openKeyring(KEYS.keyring, 'salvor-keys.json', true)

/** The same bytes for the same seed; the first half compresses. */
export function bytes(size: number, seed = 1): Buffer {
  const key = createHash('sha256').update(`${seed}`).digest()
  const random = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
  for (let at = 0; at < size / 2; at++) random[at] = (random[at] ?? 0) & 3
  return random
}

export const FACTS: SnapshotFacts = {
  source_db: '/srv/desk/app.db',
  consistent_at: '2025-11-27T20:39:31.000001Z',
  engine_facts: { page_size: 4096, journal_mode: 'wal', encoding: null },
  notices: ['the table patients has no primary key'],
}

/** Small frames and segments, so that a few hundred kilobytes have many of both. */
export function request(store: Store, overrides: Partial<BackupRequest> = {}): BackupRequest {
  return {
    store,
    keyring: RING,
    encrypt: true,
    compression: { algorithm: 'zstd', level: 1 },
    threads: 1,
    artifact: 'db',
    engine: 'sqlite',
    id: ID,
    source: 'clinic',
    type: 'full',
    retention_class: 'full',
    retention_until: '2025-12-27T20:39:30.294774Z',
    timestamp: TIME,
    parent: null,
    tool_version: '0.1.0',
    monotonicMs: () => 0,
    onProgress: () => {},
    frame_bytes: 16_384,
    segment_bytes: 50_000,
    ...overrides,
  }
}

/** An engine that gives these bytes in pieces of one size, through one buffer that it spoils after each. */
export function giving(data: Uint8Array, piece = 10_007): (sink: SnapshotSink) => Promise<SnapshotFacts> {
  return async (sink) => {
    const buffer = Buffer.alloc(piece)
    for (let at = 0; at < data.length; at += piece) {
      const chunk = buffer.subarray(0, Math.min(piece, data.length - at))
      chunk.set(data.subarray(at, at + chunk.length))
      const wait = sink.write(chunk)
      chunk.fill(0xee)
      if (wait) await wait
    }
    return FACTS
  }
}

/** Compression threads that this process has now; 0 where /proc does not tell. */
export function frameThreads(): number {
  if (!existsSync('/proc/self/task')) return 0
  const names = readdirSync('/proc/self/task').map((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()
    } catch {
      return ''
    }
  })
  return names.filter((name) => name === 'salvor-frames').length
}

/** The code that `work` fails with, or 'resolved'. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  )
}
