import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { openBeside } from '../connect/open-link.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Environment } from '../environment.ts'
import type { WalEnvironment } from './environment.ts'
import type { Link, Row } from '../protocol/link.ts'
import { literal } from '../protocol/messages.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { ServerFacts } from '../server-facts.ts'

const DUPLICATE_OBJECT = '42710'
const NO_SLOT_FREE = '53400'
/** READ_REPLICATION_SLOT of a logical slot. */
const FEATURE_NOT_SUPPORTED = '0A000'

export interface Slot {
  readonly created: boolean
  /** Where the WAL begins that the server keeps for it; null: it does not say. */
  readonly restart: bigint | null
  /** It is known to be a slot for physical replication; a logical one is somebody else's, and refused. */
  readonly physical: boolean
}

/** A server whose pg_wal the slot could fill is left alone, unless the configuration accepts that. Null: it need not be. */
export function unbounded(facts: ServerFacts, { unboundedSlot }: Pick<WalEnvironment, 'unboundedSlot'>) {
  if (facts.maxSlotWalKeepSize !== null || unboundedSlot) return null
  return {
    reason: 'max_slot_wal_keep_size is -1 on the server, so a stream that stops would fill its pg_wal',
    fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf(); (or write `unbounded_slot: accept`)",
  }
}

export function assertBounded(facts: ServerFacts, env: WalEnvironment): void {
  const why = unbounded(facts, env)
  if (why !== null) throw new SalvorError('WAL_NOT_STREAMED', { source: env.context.source, ...why })
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
  const seen = await lookAt(link, env, name, signal)
  if (seen.type === 'logical') throw notPhysical(env.context.source, name)
  return { created, restart: seen.restart, physical: created || seen.type === 'physical' }
}

export function notPhysical(source: string, name: string, cause?: unknown): SalvorError {
  const reason = `the replication slot ${name} is for logical replication, and belongs to something else`
  const fix = 'name another one: `wal: { slot: … }`'
  return new SalvorError('WAL_NOT_STREAMED', { source, reason, fix }, cause)
}

export async function dropSlot(link: Link, name: string, signal: AbortSignal): Promise<void> {
  await link.rows(`DROP_REPLICATION_SLOT "${name}" WAIT`, COMMAND_IDLE_MS, signal)
}

interface Seen {
  readonly type: string | null
  readonly restart: bigint | null
}

/** From 15 on the replication link tells it; before, only SQL does, which a role may not be let in for. */
async function lookAt(link: Link, env: Environment, name: string, signal: AbortSignal): Promise<Seen> {
  const major = Number.parseInt(link.parameters.get('server_version') ?? '', 10)
  if (major >= 15) return await readSlot(link, env, name, signal)
  try {
    await using sql = await openBeside(env, link, 'sql', signal)
    const query = `SELECT slot_type, restart_lsn FROM pg_replication_slots WHERE slot_name = ${literal(name)}`
    return seenIn((await sql.rows(query, COMMAND_IDLE_MS, signal))[0]?.rows[0])
  } catch {
    signal.throwIfAborted()
    return seenIn(undefined)
  }
}

async function readSlot(link: Link, env: Environment, name: string, signal: AbortSignal): Promise<Seen> {
  try {
    const [set] = await link.rows(`READ_REPLICATION_SLOT "${name}"`, COMMAND_IDLE_MS, signal)
    return seenIn(set?.rows[0])
  } catch (error) {
    if (error instanceof ServerError && error.sqlState === FEATURE_NOT_SUPPORTED)
      throw notPhysical(env.context.source, name, error)
    throw error
  }
}

const seenIn = ([type, lsn]: Row = []): Seen => ({ type: type ?? null, restart: lsn ? lsnValue(lsn) : null })

function noSlotFree(source: string, cause: unknown): SalvorError {
  const fix = 'ALTER SYSTEM SET max_replication_slots = 10; then restart the server'
  return new SalvorError('WAL_NOT_STREAMED', { source, reason: 'the server has no replication slot free', fix }, cause)
}
