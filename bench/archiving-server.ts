import { chmodSync } from 'node:fs'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import type { Cluster } from './pgbackrest-place.ts'
import type { Workplace } from './workplace.ts'

export interface ArchivingServer extends AsyncDisposable {
  readonly server: RealPostgres
  /** As pgBackRest reaches it. */
  readonly cluster: Cluster
}

/** PostgreSQL 15 with `archive_mode`, which pgBackRest insists on, and sockets in the workplace. */
export async function startArchiving(
  place: Workplace,
  settings: Readonly<Record<string, string>>,
): Promise<ArchivingServer> {
  const sockets = place.fresh('sockets')
  chmodSync(sockets, 0o777)
  const own = { archive_mode: 'on', unix_socket_directories: sockets }
  const server = await startPostgres({ major: 15, settings: { ...own, ...settings } })
  const { dataDir, port, superuser } = server
  return {
    server,
    cluster: { dataDir, port, superuser, sockets },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
