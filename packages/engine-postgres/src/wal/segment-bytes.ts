import { isSegmentSize } from '@salvor/shared/vocabulary/wal'
import { LinkLost } from '../protocol/server-error.ts'
import type { ServerFacts } from '../server-facts.ts'

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }

/** `16MB`, as the server shows it, in bytes. */
export function segmentBytes({ walSegmentSize }: Pick<ServerFacts, 'walSegmentSize'>): number {
  const [, amount, unit] = /^(\d+)(B|kB|MB|GB)$/.exec(walSegmentSize) ?? []
  const bytes = Number(amount) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (isSegmentSize(bytes)) return bytes
  throw new LinkLost(`a WAL segment size of ${walSegmentSize}`)
}
