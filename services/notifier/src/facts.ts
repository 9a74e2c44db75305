import type { Notification } from '@salvor/shared/ports/channel'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Failure } from '@salvor/shared/vocabulary/run'
import { ago, moment, sentence } from './human.ts'

type Field = Notification['fields'][number]

/** A hint that is nothing but a command; longer ones explain a command in a sentence. */
const COMMAND = /^salvor( [^\s,;]+){1,5}$/

/** A list of one field, or of none where there is nothing to say. */
export function field(label: string, value: string | null | undefined): readonly Field[] {
  return value ? [{ label, value }] : []
}

/** How far back a restore would go today. */
export function goodBefore(backup: BackupWithCopies | null, now: Instant): readonly Field[] {
  const value = backup
    ? `${moment(backup.consistent_at)} (${ago(backup.consistent_at, now)}, ${backup.state})`
    : 'none yet'
  return field('Last good', value)
}

/** The cause, what comes next, and what to do: a hint that is a command stands alone, so that it can be copied. */
export function because(error: Failure, next: string, command: string | null): Pick<Notification, 'text' | 'hint'> {
  const isCommand = COMMAND.test(error.hint)
  const advice = isCommand ? '' : sentence(error.hint)
  const text = [sentence(error.message), sentence(next), advice].filter(Boolean).join(' ')
  return { text, hint: isCommand ? error.hint : command }
}

/** `s3 (proven), azure (completed)`: where else the backup lies. */
export function goodElsewhere(backup: BackupWithCopies | null, store: string): string {
  const good = (backup?.copies ?? []).filter(
    (copy) => copy.store !== store && copy.state !== 'pending' && copy.state !== 'corrupt',
  )
  return good.map((copy) => `${copy.store} (${copy.state})`).join(', ')
}
