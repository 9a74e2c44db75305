import type { SetUpStep } from '@salvor/shared/ports/engine'
import type { Address } from './connect/address.ts'
import { parseServers, serviceOf } from './connect/servers.ts'
import { quoted } from './failures.ts'

const WORKER = '<address of the worker>'

/** What a database administrator types once, for what Salvor does with this source: the least that each part needs. */
export function setUp({
  url,
  method,
}: {
  readonly url: string
  readonly method?: 'physical' | 'logical'
}): readonly SetUpStep[] {
  const servers = serviceOf(url) === null ? parseServers(url) : null
  const addresses = servers === null || 'problem' in servers ? [] : servers.addresses
  const role = quoted(addresses[0]?.user ?? 'backup')
  const several = addresses.length > 1
  const withCertificate = addresses.some(({ sslcert }) => sslcert !== null)
  const password = withCertificate ? [] : [`\\password ${role}`]
  if (method === 'logical') return dumpSteps(role, password, addresses)
  const database = quoted(addresses[0]?.database ?? 'postgres')
  return [
    {
      title: 'A role that may copy the cluster (REPLICATION is all that backups need; one that exists: ALTER ROLE)',
      where: 'psql, as a superuser of the primary',
      lines: [`CREATE ROLE ${role} WITH LOGIN REPLICATION;`, ...password],
    },
    {
      title: 'The way in, on every server that a backup may be taken from',
      where: 'pg_hba.conf, before lines that fit as well',
      lines: [...hbaLines(addresses, 'replication', role), ...hbaLines(addresses, database, role)],
    },
    {
      title: 'Take the lines over',
      where: 'psql, as a superuser of each of these servers',
      lines: ['SELECT pg_reload_conf();'],
    },
    {
      title: 'Optional: sizes of databases that it may not connect to, so that progress knows its end',
      where: 'psql, as a superuser of the primary',
      lines: [`GRANT pg_read_all_stats TO ${role};`],
    },
    {
      title: `${several ? 'For streaming WAL through a slot on each of these servers, which REPLICATION is enough for' : 'For streaming WAL'}: what a slot may make a server keep in pg_wal, less than its disk has free (backups alone: optional, else Salvor watches max_wal_hold)`,
      where: 'psql, as a superuser of each of these servers',
      lines: ["ALTER SYSTEM SET max_slot_wal_keep_size = '16GB';", 'SELECT pg_reload_conf();'],
    },
  ]
}

/** What dumps need: reading, and nothing else. */
function dumpSteps(role: string, password: readonly string[], addresses: readonly Address[]): readonly SetUpStep[] {
  return [
    {
      title: 'A role that may read every table (14 and later; row security: BYPASSRLS)',
      where: 'psql, as an administrator of the server',
      lines: [`CREATE ROLE ${role} WITH LOGIN;`, ...password, `GRANT pg_read_all_data TO ${role};`],
    },
    {
      title: 'PostgreSQL 13: in each database instead, for each schema; and again for new ones',
      where: 'psql, as the owner of the tables',
      lines: [
        `GRANT USAGE ON SCHEMA public TO ${role};`,
        `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};`,
        `GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO ${role};`,
      ],
    },
    {
      title: 'The way in, where the server has a pg_hba.conf of yours',
      where: 'pg_hba.conf, before lines that fit as well; then SELECT pg_reload_conf();',
      lines: hbaLines(addresses, 'all', role),
    },
  ]
}

function hbaLines(addresses: readonly Address[], database: string, role: string): string[] {
  const lines = addresses.map(({ host, sslmode, sslcert }) => {
    if (host.startsWith('/')) return `local ${database} ${role} peer`
    const kind = sslmode === 'disable' || sslmode === 'prefer' ? 'host' : 'hostssl'
    return `${kind} ${database} ${role} ${WORKER} ${sslcert === null ? 'scram-sha-256' : 'cert'}`
  })
  return lines.length === 0 ? [`hostssl ${database} ${role} ${WORKER} scram-sha-256`] : [...new Set(lines)]
}
