import { parseInstant } from '@salvor/policy/instant-text'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { isLsn } from '@salvor/shared/vocabulary/lsn'
import type { RecoveryTarget } from '@salvor/shared/vocabulary/recovery'

export interface RecoveryOptions {
  readonly at?: string
  readonly lsn?: string
  readonly xid?: string
  readonly name?: string
  readonly timeline?: string
  readonly latest?: boolean
  readonly pause?: boolean
}

export interface RecoveryWanted {
  readonly target: RecoveryTarget
  readonly timeline: number | null
  readonly pause: boolean
}

/** What the options of `restore` ask for. Null: a backup as it is. USAGE for what contradicts itself or cannot be read. */
export function recoveryWanted(options: RecoveryOptions, timezone: string): RecoveryWanted | null {
  const { at, lsn, xid, name, timeline, latest, pause = false } = options
  const usage = (reason: string) => new SalvorError('USAGE', { reason, command: 'restore' })
  const targets: RecoveryTarget[] = []
  if (at === 'latest' || latest) targets.push({ kind: 'latest' })
  else if (at !== undefined) targets.push({ kind: 'time', at: instant(at, timezone, usage) })
  if (lsn !== undefined) {
    if (!isLsn(lsn)) throw usage(`--lsn ${lsn} is no WAL position, such as 16/B374D848`)
    targets.push({ kind: 'lsn', lsn: lsn.toUpperCase() })
  }
  if (xid !== undefined) {
    if (!/^[1-9]\d{0,19}$/.test(xid)) throw usage(`--xid ${xid} is no transaction id`)
    targets.push({ kind: 'xid', xid })
  }
  if (name !== undefined) targets.push({ kind: 'name', name })
  if (targets.length > 1) throw usage('name one of --at, --latest, --lsn, --xid and --name')
  const [target] = targets
  if (!target) {
    if (timeline !== undefined || pause)
      throw usage('--timeline and --pause need --at, --latest, --lsn, --xid or --name')
    return null
  }
  return { target, timeline: timeline === undefined ? null : timelineOf(timeline, usage), pause }
}

function instant(at: string, timezone: string, usage: (reason: string) => SalvorError): string {
  const parsed = parseInstant(at, timezone)
  if (parsed === null)
    throw usage(`--at ${JSON.stringify(at)} is no instant, such as "2025-11-27 14:02:59" or 2025-11-27T14:02:59Z`)
  return parsed
}

function timelineOf(text: string, usage: (reason: string) => SalvorError): number {
  const timeline = Number(text)
  if (!Number.isInteger(timeline) || timeline < 1) throw usage(`--timeline ${text} is no timeline`)
  return timeline
}
