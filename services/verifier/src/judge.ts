import type { NewEvent } from '@salvor/shared/messages/events'
import type { Backup } from '@salvor/shared/vocabulary/backup'
import { SOURCE_CHECK, type Verification, type VerificationLevel } from '@salvor/shared/vocabulary/verification'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Seen } from './look.ts'

interface Looked {
  readonly id: string
  readonly started_at: string
  readonly duration_ms: number
}

/**
 * What a look means. Bad bytes or an engine that refuses them: corrupt. Good bytes whose data fail the source's own
 * checks: decoded, not proven, and somebody is told; the copy itself is as good as its source was.
 */
export function judge(
  backup: Pick<Backup, 'id' | 'source'>,
  store: string,
  asked: VerificationLevel,
  seen: Seen,
  looked: Looked,
): { verification: Verification; event: NewEvent } {
  const bad = seen.checks.filter((check) => !check.ok)
  const corrupt = bad.filter((check) => !check.name.startsWith(SOURCE_CHECK))
  const level = corrupt.length === 0 && bad.length > 0 ? 'decode' : seen.reached
  const verification: Verification = {
    ...looked,
    backup_id: backup.id,
    store,
    level,
    ok: corrupt.length === 0,
    checks: seen.checks,
  }
  const about = { source: backup.source, backup_id: backup.id, store }
  const subject = backup.id
  if (corrupt.length > 0) {
    const failed_checks = corrupt.map((check) => `${check.name}: ${check.detail}`)
    return { verification, event: { type: 'copy.corrupt', subject, data: { ...about, level: asked, failed_checks } } }
  }
  if (bad.length > 0) {
    const names = bad.map((check) => check.name).join(', ')
    const error = new SalvorError('CHECKS_FAILED', { count: String(bad.length), names, backup: backup.id }).toFailure()
    return {
      verification,
      event: { type: 'copy.failed', subject, data: { ...about, what: 'verify', failures: 1, final: true, error } },
    }
  }
  return {
    verification,
    event: { type: 'copy.verified', subject, data: { ...about, level, duration_ms: looked.duration_ms } },
  }
}
