import { firstStoreFor } from '@salvor/policy/copies'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { recordBackup } from './record-backup.ts'
import { takeSnapshot } from './take-snapshot.ts'

/** What a folder may be of which no copy can be taken. */
const DEAD: ReadonlySet<string> = new Set([
  'RESTORE_FAILED',
  'SOURCE_CHANGED',
  'SOURCE_DAMAGED',
  'SOURCE_UNREADABLE',
  'SOURCE_UNSUPPORTED',
])

/**
 * The pre_restore backup: in the catalog before a byte of the target changes. Of what is too broken to be read there is none; where the
 * engine keeps what was there under another name, that is what is left of it. Where it is, is told as a check. A delta restore keeps nothing.
 */
export async function saveFirst(
  run: JobRun<'restore-backup'>,
  deps: Deps,
  name: string,
  target: string,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const source = deps.settings().sources.get(name)
  const store = source ? firstStoreFor(source, 'pre_restore') : null
  if (!source || store === null) throw new SalvorError('SOURCE_UNKNOWN', { source: name })
  const wish = { type: 'pre_restore', retention_class: 'pre_restore', store, offline_target: target } as const
  const taken = await takeSnapshot(deps, source, wish, () => {}, signal).catch((thrown: unknown) => {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (!source.keeps_former || run.params.delta || !DEAD.has(error.code)) throw thrown
    deps.log.warn({ source: name, target, code: error.code }, 'no pre_restore backup could be taken')
    return error
  })
  if (taken instanceof SalvorError) {
    const detail = `none could be taken (${taken.message}); what was there is kept as it is, under another name`
    return [{ name: 'pre_restore', ok: true, detail, duration_ms: 0 }]
  }
  if (!taken) throw new SalvorError('INTERNAL', { what: 'a pre_restore backup that was skipped' })
  const { backup } = taken
  const cause = { service: 'backup-worker', correlation_id: run.correlation_id, causation_id: run.id } as const
  await deps.catalog.transaction(cause, (tx) => recordBackup(tx, source, backup, store, run.id))
  return [{ name: 'pre_restore', ok: true, detail: `what was there is ${backup.filename} in ${store}`, duration_ms: 0 }]
}
