import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecoveryRequest } from '@salvor/shared/ports/engine'
import { epochMicros } from '@salvor/shared/vocabulary/instant'
import type { RecoveryTarget } from '@salvor/shared/vocabulary/recovery'

/**
 * Lets the server recover when it starts: to the target and no further, by the WAL in its own pg_wal and without anything of
 * Salvor's. The settings mean nothing once recovery.signal is gone, which the server removes itself.
 */
export async function writeRecovery(folder: string, { target, timeline, pause }: RecoveryRequest): Promise<void> {
  const lines = Object.entries(recoverySettings({ target, timeline, pause })).map(
    ([name, value]) => `${name} = ${literal(value)}`,
  )
  const text = ['', '# Written by Salvor: how far to recover.', ...lines, ''].join('\n')
  await appendFile(join(folder, 'postgresql.auto.conf'), text, { mode: 0o600 })
  await writeFile(join(folder, RECOVERY_SIGNAL), '', { flag: 'wx', mode: 0o600 })
}

export const RECOVERY_SIGNAL = 'recovery.signal'

export function recoverySettings({
  target,
  timeline,
  pause,
}: Pick<RecoveryRequest, 'target' | 'timeline' | 'pause'>): Readonly<Record<string, string>> {
  return {
    // The server insists on a command before it looks into pg_wal. This one says that there is nothing.
    restore_command: 'exit 1',
    recovery_target_timeline: String(timeline),
    // A standby of the source may have had others.
    recovery_target_inclusive: 'on',
    recovery_min_apply_delay: '0',
    recovery_target_action: pause ? 'pause' : 'promote',
    ...targetSettings(target),
  }
}

function targetSettings(target: RecoveryTarget): Readonly<Record<string, string>> {
  switch (target.kind) {
    case 'latest':
      return {}
    case 'time':
      return { recovery_target_time: postgresTime(target.at) }
    case 'lsn':
      return { recovery_target_lsn: target.lsn }
    case 'xid':
      return { recovery_target_xid: target.xid }
    default:
      return { recovery_target_name: target.name }
  }
}

/** `2025-11-27 20:39:30.294774+00`: the one form that no DateStyle reads otherwise. */
function postgresTime(at: string): string {
  epochMicros(at)
  return at.replace('T', ' ').replace('Z', '+00')
}

const literal = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
