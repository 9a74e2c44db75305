import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { setTimeout as sleep } from 'node:timers/promises'
import { openBeside } from '../connect/open-link.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Environment } from '../environment.ts'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { ServerFacts } from '../server-facts.ts'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'

const LOOK_EVERY_MS = 5_000

export interface WalHold extends AsyncDisposable {
  /** Aborts when the server keeps more WAL for this backup than allowed. */
  readonly signal: AbortSignal
  readonly notice: string | null
}

/**
 * Makes the server keep the WAL that the backup needs at its end. The slot is temporary: it goes with the link. Where
 * the server does not limit slots itself, the WAL written meanwhile is watched, so that a backup never fills pg_wal.
 */
export async function holdWal(link: Link, facts: ServerFacts, env: Environment, signal: AbortSignal): Promise<WalHold> {
  const guard = facts.maxSlotWalKeepSize === null ? await openGuard(env, link, signal) : null
  if (facts.maxSlotWalKeepSize === null && guard === null) {
    return unheld('no second replication connection was free to watch pg_wal')
  }
  try {
    const slot = `salvor_backup_${link.backendPid}`
    await link.rows(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY PHYSICAL RESERVE_WAL`, COMMAND_IDLE_MS, signal)
  } catch (error) {
    guard?.close()
    if (error instanceof ServerError && !error.fatal) return unheld('no replication slot was free')
    throw error
  }
  return guard === null ? { signal, notice: null, [Symbol.asyncDispose]: async () => undefined } : watched(guard, env)
}

function unheld(why: string): WalHold {
  const notice = `${why}: the server may remove WAL that a long backup still needs`
  return { signal: new AbortController().signal, notice, [Symbol.asyncDispose]: async () => undefined }
}

async function openGuard(env: Environment, link: Link, signal: AbortSignal): Promise<Link | null> {
  try {
    return await openBeside(env, link, 'replication', signal)
  } catch {
    signal.throwIfAborted()
    return null
  }
}

function watched(guard: Link, env: Environment): WalHold {
  const stop = new AbortController()
  const exceeded = new AbortController()
  const watching = watch(guard, env, stop.signal).then(
    (error) => error && exceeded.abort(error),
    () => undefined,
  )
  return {
    signal: exceeded.signal,
    notice: null,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await watching
      await guard[Symbol.asyncDispose]()
    },
  }
}

/** A guard whose link breaks is no reason to stop a backup: the backup's own link tells of a server that is gone. */
async function watch(guard: Link, env: Environment, signal: AbortSignal): Promise<SalvorError | null> {
  const begin = await writtenUpTo(guard, signal)
  for (;;) {
    await sleep(LOOK_EVERY_MS, undefined, { signal })
    const held = (await writtenUpTo(guard, signal)) - begin
    if (held <= env.maxWalHold) continue
    const reason = `it would have kept more than ${env.maxWalHold / 1_000_000n} MB of WAL for this backup; set max_slot_wal_keep_size on the server, or raise max_wal_hold`
    return new SalvorError('SOURCE_BROKE_OFF', { source: env.context.source, reason })
  }
}

async function writtenUpTo(link: Link, signal: AbortSignal): Promise<bigint> {
  const [set] = await link.rows('IDENTIFY_SYSTEM', COMMAND_IDLE_MS, signal)
  return lsnValue(set?.rows[0]?.[2] ?? '0/0')
}
