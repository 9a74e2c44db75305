import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { SessionAttrs } from './servers.ts'

/** How long a server may be silent on small commands. */
export const COMMAND_IDLE_MS = 60_000

export async function show(link: Link, setting: string, signal: AbortSignal): Promise<string> {
  const [set] = await link.rows(`SHOW ${setting}`, COMMAND_IDLE_MS, signal)
  const value = set?.rows[0]?.[0]
  if (typeof value !== 'string') throw new ServerError('ERROR', '42704', `the server did not tell ${setting}`)
  return value
}

/** Servers before 14 do not say it by themselves; where a setting forbids writing, it cannot be told there. */
export async function isStandby(link: Link, signal: AbortSignal): Promise<boolean> {
  const said = link.parameters.get('in_hot_standby')
  if (said !== undefined) return said === 'on'
  const readOnly = await show(link, 'transaction_read_only', signal)
  return readOnly === 'on' && !(await isReadOnlyByDefault(link, signal))
}

async function isReadOnlyByDefault(link: Link, signal: AbortSignal): Promise<boolean> {
  const said = link.parameters.get('default_transaction_read_only')
  return (said ?? (await show(link, 'default_transaction_read_only', signal))) === 'on'
}

/** Why a server that answers is not the one that was asked for; null: it is. */
export async function misfit(link: Link, wanted: SessionAttrs, signal: AbortSignal): Promise<string | null> {
  if (wanted === 'any') return null
  const standby = await isStandby(link, signal)
  if (wanted === 'primary') return standby ? 'it is a standby' : null
  if (wanted === 'standby' || wanted === 'prefer-standby') return standby ? null : 'it is no standby'
  const writes = !standby && !(await isReadOnlyByDefault(link, signal))
  if (wanted === 'read-write') return writes ? null : 'it does not take writes'
  return writes ? 'it takes writes' : null
}
