import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { openBeside } from '../connect/open-link.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Environment } from '../environment.ts'
import type { WalEnvironment } from './environment.ts'
import type { Link } from '../protocol/link.ts'
import { literal } from '../protocol/messages.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { ServerFacts } from '../server-facts.ts'

const DUPLICATE_OBJECT = '42710'
const NO_SLOT_FREE = '53400'

export interface Slot {
  readonly created: boolean
  /** Where the WAL begins that the server keeps for it; null: it does not say. */
  readonly restart: bigint | null
}

/** A server whose pg_wal the slot could fill is left alone, unless the configuration accepts that. */
export function assertBounded(facts: ServerFacts, { unboundedSlot, context }: WalEnvironment): void {
  if (facts.maxSlotWalKeepSize !== null || unboundedSlot) return
  throw new SalvorError('WAL_NOT_STREAMED', {
    source: context.source,
    reason: 'max_slot_wal_keep_size is -1 on the server, so a stream that stops would fill its pg_wal',
    fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf(); (or write `unbounded_slot: accept`)",
  })
}

/** Makes the slot, or takes up the one that is there. */
export async function ensureSlot(link: Link, env: Environment, name: string, signal: AbortSignal): Promise<Slot> {
  let created = true
  try {
    await link.rows(`CREATE_REPLICATION_SLOT "${name}" PHYSICAL RESERVE_WAL`, COMMAND_IDLE_MS, signal)
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    if (error.sqlState === NO_SLOT_FREE) throw noSlotFree(env.context.source, error)
    if (error.sqlState !== DUPLICATE_OBJECT) throw error
    created = false
  }
  return { created, restart: await restartOf(link, env, name, signal) }
}

export async function dropSlot(link: Link, name: string, signal: AbortSignal): Promise<void> {
  await link.rows(`DROP_REPLICATION_SLOT "${name}" WAIT`, COMMAND_IDLE_MS, signal)
}

/** From 15 on the replication link tells it; before, only SQL does, which a role may not be let in for. */
async function restartOf(link: Link, env: Environment, name: string, signal: AbortSignal): Promise<bigint | null> {
  const major = Number.parseInt(link.parameters.get('server_version') ?? '', 10)
  if (major >= 15) {
    const [set] = await link.rows(`READ_REPLICATION_SLOT "${name}"`, COMMAND_IDLE_MS, signal)
    const lsn = set?.rows[0]?.[1]
    return lsn ? lsnValue(lsn) : null
  }
  try {
    await using sql = await openBeside(env, link, 'sql', signal)
    const query = `SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = ${literal(name)}`
    const [set] = await sql.rows(query, COMMAND_IDLE_MS, signal)
    const lsn = set?.rows[0]?.[0]
    return lsn ? lsnValue(lsn) : null
  } catch {
    signal.throwIfAborted()
    return null
  }
}

function noSlotFree(source: string, cause: unknown): SalvorError {
  const fix = 'ALTER SYSTEM SET max_replication_slots = 10; then restart the server'
  return new SalvorError('WAL_NOT_STREAMED', { source, reason: 'the server has no replication slot free', fix }, cause)
}
