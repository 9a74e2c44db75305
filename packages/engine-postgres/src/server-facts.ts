import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { whereIs } from './connect/address.ts'
import { COMMAND_IDLE_MS, isStandby, show } from './connect/session.ts'
import type { Link } from './protocol/link.ts'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'

export interface ServerFacts {
  readonly systemId: string
  readonly timeline: number
  /** Where its WAL ended when it was asked; of a standby, what it had received. */
  readonly position: bigint
  readonly version: string
  readonly versionNum: number
  readonly major: number
  readonly walSegmentSize: string
  readonly dataChecksums: boolean
  readonly clusterName: string
  /** Null where the setting is unlimited. */
  readonly maxSlotWalKeepSize: string | null
  readonly replicationSlots: number
  readonly standby: boolean
}

const OLDEST = 13
/** The newest major that the tests run against. A newer one is taken at its word, with a notice. */
const NEWEST = 18

/** What a replication link tells about its server. Refuses versions whose protocol is another. */
export async function serverFacts(link: Link, source: string, signal: AbortSignal): Promise<ServerFacts> {
  const versionNum = Number(await show(link, 'server_version_num', signal))
  const version = link.parameters.get('server_version') ?? String(versionNum)
  const major = Math.floor(versionNum / 10_000)
  if (major < OLDEST) {
    const what = `PostgreSQL ${version} is not supported (${OLDEST} and newer are)`
    throw new SalvorError('SOURCE_UNSUPPORTED', { source, what, fix: 'upgrade the server' })
  }
  const { systemId, timeline, position } = await identity(link, signal)
  const keep = await show(link, 'max_slot_wal_keep_size', signal)
  return {
    systemId,
    timeline,
    position,
    version,
    versionNum,
    major,
    walSegmentSize: await show(link, 'wal_segment_size', signal),
    dataChecksums: (await show(link, 'data_checksums', signal)) === 'on',
    clusterName: await show(link, 'cluster_name', signal),
    maxSlotWalKeepSize: keep === '-1' ? null : keep,
    replicationSlots: Number(await show(link, 'max_replication_slots', signal)),
    standby: await isStandby(link, signal),
  }
}

export interface Identity {
  readonly systemId: string
  readonly timeline: number
  /** Where its WAL ends; of a standby, what it has received. */
  readonly position: bigint
}

/** Who the server is, and how far it is now. */
export async function identity(link: Link, signal: AbortSignal): Promise<Identity> {
  const [set] = await link.rows('IDENTIFY_SYSTEM', COMMAND_IDLE_MS, signal)
  const [systemId, timeline, position] = set?.rows[0] ?? []
  return { systemId: systemId ?? '', timeline: Number(timeline), position: lsnValue(position ?? '0/0') }
}

/** `host:port/cluster_name`; the name only where the cluster has one. */
export function sourceDb({ address }: Link, facts: ServerFacts): string {
  return facts.clusterName === '' ? whereIs(address) : `${whereIs(address)}/${facts.clusterName}`
}

/** What is worth telling about a server before and after each backup. */
export function serverNotices({ major, version, dataChecksums, standby }: ServerFacts): string[] {
  return [
    ...(dataChecksums ? [] : [NO_PAGE_CHECKS]),
    ...(major > NEWEST ? [`PostgreSQL ${version} is newer than what Salvor is tested with (${NEWEST})`] : []),
    ...(standby
      ? ['the server is a standby: a backup lacks what it has not replayed, and a promotion ends one that runs']
      : []),
  ]
}

export const NO_PAGE_CHECKS = 'pages verified: no (data checksums are off on the server: pg_checksums --enable)'
