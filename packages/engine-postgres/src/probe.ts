import type { SourceProbe } from '@salvor/shared/ports/engine'
import { openBeside, openLink } from './connect/open-link.ts'
import { COMMAND_IDLE_MS } from './connect/session.ts'
import type { Environment } from './environment.ts'
import { loginFailure } from './failures.ts'
import type { Link } from './protocol/link.ts'
import { serverPrograms } from './sandbox/programs.ts'
import type { WalEnvironment } from './wal/environment.ts'
import { unbounded } from './wal/slot.ts'
import { synchronousNotices } from './wal/synchronous.ts'
import { serverFacts, serverNotices, sourceDb } from './server-facts.ts'

/** Logs in as a backup would, and asks what can be asked without changing anything. */
export async function probe(env: WalEnvironment, signal: AbortSignal): Promise<SourceProbe> {
  await using link = await openLink(env, 'replication', signal)
  try {
    const facts = await serverFacts(link, env.context.source, signal)
    const bytes = await databaseBytes(env, link, signal)
    const notices = [...serverNotices(facts), ...(await synchronousNotices(link, env, signal))]
    if (facts.replicationSlots === 0) {
      notices.push('max_replication_slots is 0: the server may remove WAL that a long backup still needs')
    }
    const not_streamed = unbounded(facts, env)
    return {
      ...(not_streamed && { not_streamed }),
      version: facts.version,
      source_db: sourceDb(link, facts),
      size_bytes: bytes,
      notices,
    }
  } catch (error) {
    throw loginFailure(error, env.context.source, link.address)
  }
}

/** Looks for server programs of the source's major on this machine, as a proof would. */
export async function assertProvable(env: Environment, signal: AbortSignal): Promise<string> {
  const { source, server_programs } = env.context
  await using link = await openLink(env, 'replication', signal)
  const { major } = await serverFacts(link, source, signal)
  await using programs = await serverPrograms(source, major, server_programs)
  return `PostgreSQL ${major} in ${programs.bin}`
}

const BYTES = `
  SELECT sum(pg_database_size(oid)) FROM pg_database
  WHERE has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')`

/** A role that has REPLICATION only may be unable to log in to a database: then this stays unknown. */
async function databaseBytes(env: Environment, beside: Link, signal: AbortSignal): Promise<number | null> {
  try {
    await using link = await openBeside(env, beside, 'sql', signal)
    const [set] = await link.rows(BYTES, COMMAND_IDLE_MS, signal)
    return Number(set?.rows[0]?.[0])
  } catch {
    signal.throwIfAborted()
    return null
  }
}
