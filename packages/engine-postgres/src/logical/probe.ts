import type { SourceProbe } from '@salvor/shared/ports/engine'
import { whereIs } from '../connect/address.ts'
import { openLink } from '../connect/open-link.ts'
import { clientProgram } from './programs.ts'
import { dumpNotices } from './dump.ts'
import type { LogicalEnvironment } from './environment.ts'
import { emptyServer } from './sandbox-cluster.ts'
import { chosenDatabases, dumpServer } from './server.ts'

const TRADE_OFFS =
  'method: logical can lose what was written since the last dump (its interval is the RPO), and restores slower than a data folder; use physical backups where the server lets a role replicate'

/** Logs in as a dump would, and looks for pg_dump and for what the role may not read. */
export async function probeLogical(env: LogicalEnvironment, signal: AbortSignal): Promise<SourceProbe> {
  const { source, server_programs: folders } = env.context
  await using link = await openLink(env, 'sql', signal)
  const server = await dumpServer(link, source, signal)
  await clientProgram(source, 'pg_dump', server.major, folders)
  const { databases, leftOut } = await chosenDatabases(link, source, env.choice, signal)
  const sizes = databases.map(({ size_bytes: size }) => size)
  const [, ...others] = dumpNotices(server, leftOut)
  const grant = `GRANT pg_read_all_data TO ${link.address.user} (14 and later)`
  return {
    version: server.version,
    source_db: whereIs(link.address),
    size_bytes: sizes.includes(null) ? null : sizes.reduce((sum: number, size) => sum + size!, 0),
    notices: [
      TRADE_OFFS,
      ...(server.readsAll
        ? []
        : [`the role may not read every table as it is; a table that it may not read fails the dump: ${grant}`]),
      ...others,
    ],
  }
}

/** Looks for a server and a pg_restore on this machine, as a proof would. */
export async function assertDumpProvable(env: LogicalEnvironment, signal: AbortSignal): Promise<string> {
  const { source, server_programs: folders } = env.context
  await using link = await openLink(env, 'sql', signal)
  const { major } = await dumpServer(link, source, signal)
  const dumper = await clientProgram(source, 'pg_dump', major, folders)
  const restorer = await clientProgram(source, 'pg_restore', dumper.major, folders)
  const server = await emptyServer(env.context, { source: major, program: dumper.major })
  return `PostgreSQL ${server}, pg_restore ${restorer.version}`
}
