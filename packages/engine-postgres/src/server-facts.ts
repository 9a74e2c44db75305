import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { whereIs, type Address } from './address.ts'
import type { Link } from './protocol/link.ts'
import { ServerError } from './protocol/server-error.ts'

/** How long a server may be silent on small commands. */
export const COMMAND_IDLE_MS = 60_000

export interface ServerFacts {
  readonly systemId: string
  readonly timeline: number
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
  const [identity] = await link.rows('IDENTIFY_SYSTEM', COMMAND_IDLE_MS, signal)
  const [systemId, timeline] = identity?.rows[0] ?? []
  const keep = await show(link, 'max_slot_wal_keep_size', signal)
  return {
    systemId: systemId ?? '',
    timeline: Number(timeline),
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

/** Servers before 14 do not say it by themselves; where writing is not allowed by a setting, it cannot be told there. */
async function isStandby(link: Link, signal: AbortSignal): Promise<boolean> {
  const said = link.parameters.get('in_hot_standby')
  if (said !== undefined) return said === 'on'
  const readOnly = await show(link, 'transaction_read_only', signal)
  return readOnly === 'on' && (await show(link, 'default_transaction_read_only', signal)) === 'off'
}

async function show(link: Link, setting: string, signal: AbortSignal): Promise<string> {
  const [set] = await link.rows(`SHOW ${setting}`, COMMAND_IDLE_MS, signal)
  const value = set?.rows[0]?.[0]
  if (typeof value !== 'string') throw new ServerError('ERROR', '42704', `the server did not tell ${setting}`)
  return value
}

/** `host:port/cluster_name`; the name only where the cluster has one. */
export function sourceDb(address: Address, facts: ServerFacts): string {
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
