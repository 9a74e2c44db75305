import type { Store } from '@salvor/shared/ports/store'
import { historyName, segmentAt, tailName, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { ID, never, RING, TIME } from './backup.fixture.ts'
import { readWal } from './read-wal.ts'
import type { WalRequest } from './write-wal.ts'

export const MIB = 1 << 20
export const SEGMENT: string = segmentAt(1, 0x3000000n, MIB)
const NOTHING = {
  first_commit_at: null,
  last_commit_at: null,
  last_commit_lsn: null,
  restore_points: [],
  current_at: null,
}
const CLUSTER = { system_id: '7581234567890123456', timeline: 1, segment_size: MIB }

export const segmentPiece: WalPiece = {
  ...NOTHING,
  ...CLUSTER,
  kind: 'segment',
  name: SEGMENT,
  start_lsn: '0/3000000',
  end_lsn: '0/3100000',
  current_at: TIME,
  first_commit_at: TIME,
  last_commit_at: TIME,
  last_commit_lsn: '0/3000100',
  restore_points: [{ name: 'before the import', lsn: '0/3000200', at: TIME }],
}
export const tailPiece: WalPiece = {
  ...NOTHING,
  ...CLUSTER,
  kind: 'tail',
  name: tailName(SEGMENT, 0x3001000n),
  start_lsn: '0/3000000',
  end_lsn: '0/3001000',
}
export const historyPiece: WalPiece = {
  ...NOTHING,
  kind: 'history',
  name: historyName(2),
  system_id: null,
  timeline: 2,
  segment_size: null,
  start_lsn: null,
  end_lsn: null,
}

export function walRequest(store: Store, data: Uint8Array, more: Partial<WalRequest> = {}): WalRequest {
  return {
    store,
    keyring: RING,
    encrypt: true,
    allowPlain: false,
    level: 1,
    source: 'clinic',
    id: ID,
    timestamp: TIME,
    tool_version: '0.1.0',
    piece: segmentPiece,
    content: () => [data.subarray(0, 1000), data.subarray(1000)],
    frame_bytes: MIB / 8,
    ...more,
  }
}

export async function contentOf(store: Store, name: string, source = 'clinic', keyring = RING): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readWal({ store, keyring, source, name }, never)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
