import { firstStoreFor } from '@salvor/policy/copies'
import { noSource } from '@salvor/policy/fleets'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobParams } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'

/** What is asked for, if this configuration can do it. */
export function wantedBackup(
  { source: name, type, retention_class }: Pick<JobParams<'take-backup'>, 'source' | 'type' | 'retention_class'>,
  deps: Deps,
) {
  const { sources, fleets } = deps.settings()
  const source = sources.get(name)
  if (!source) throw noSource(name, fleets)
  if (!source.types.includes(type)) {
    const fix = `salvor backup ${name} --type full`
    throw new SalvorError('NOT_AVAILABLE', { what: `An ${type} backup of ${source.engine}`, fix })
  }
  const store = firstStoreFor(source, retention_class)
  if (store !== null) return { source, store }
  throw new SalvorError('STORE_UNKNOWN', { store: `for ${retention_class} backups of ${name} (see copies)` })
}
