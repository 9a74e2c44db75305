import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What global/pg_control tells (PostgreSQL 13 to 18, 64 bit). */
export interface ControlFile {
  readonly systemId: string
  readonly catalogVersion: number
  /** Shut down cleanly: 1 in a primary, 2 in a standby. */
  readonly state: number
  /** Of the last checkpoint. */
  readonly timeline: number
  /** Up to where a server in recovery has replayed at least, and on which timeline; zero in one that is not. */
  readonly replayed: { readonly position: bigint; readonly timeline: number }
  readonly blockSize: number
  readonly blocksPerSegment: number
  readonly walSegmentBytes: number
  readonly dataChecksums: boolean
  readonly parameters: Readonly<Record<ControlParameter, number>>
}

const PARAMETERS = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const
export type ControlParameter = (typeof PARAMETERS)[number]

/** A constant that the server stores to recognise its own number format; the fields around it have kept their places since 13. */
const FLOAT_FORMAT = 1234567.0
const FLOAT_AT = 208

export class ControlFileUnknown extends Error {
  constructor() {
    super('global/pg_control has a form that is not known')
    this.name = 'ControlFileUnknown'
  }
}

export async function readControlFile(dataFolder: string): Promise<ControlFile> {
  const bytes = await readFile(join(dataFolder, 'global', 'pg_control'))
  if (bytes.length < 300 || bytes.readDoubleLE(FLOAT_AT) !== FLOAT_FORMAT) throw new ControlFileUnknown()
  const parameters = Object.fromEntries(PARAMETERS.map((name, i) => [name, bytes.readInt32LE(180 + 4 * i)]))
  return {
    systemId: bytes.readBigUInt64LE(0).toString(),
    catalogVersion: bytes.readUInt32LE(12),
    state: bytes.readInt32LE(16),
    timeline: bytes.readUInt32LE(48),
    replayed: { position: bytes.readBigUInt64LE(136), timeline: bytes.readUInt32LE(144) },
    blockSize: bytes.readUInt32LE(216),
    blocksPerSegment: bytes.readUInt32LE(220),
    walSegmentBytes: bytes.readUInt32LE(228),
    dataChecksums: bytes.readUInt32LE(252) !== 0,
    parameters: parameters as Record<ControlParameter, number>,
  }
}

export const CLEANLY_SHUT_DOWN: readonly number[] = [1, 2]
