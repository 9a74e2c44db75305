import { newestStateFirst } from '@salvor/policy/chain'
import { noSource } from '@salvor/policy/fleets'
import { bestCopies } from '@salvor/policy/copies'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** Whether the catalog has a copy there of what is asked for. */
export async function knowsIn(
  { deps }: Runtime,
  what: string,
  named: string | undefined,
  from: string | undefined,
): Promise<boolean> {
  const ofSource = named === undefined ? await deps.catalog.backups({ source: what }) : []
  const known = ofSource.length > 0 ? ofSource : [await deps.catalog.backup(named ?? what).catch(() => null)]
  return known.some((backup) => backup?.copies.some((copy) => copy.store === from) === true)
}

/** The backup that was named, or the newest of a source that has a copy to read. */
export async function chosenBackup(
  runtime: Runtime,
  what: string,
  named: string | undefined,
): Promise<BackupWithCopies> {
  const { catalog } = runtime.deps
  if (named !== undefined) return catalog.backup(named)
  const ofSource = await catalog.backups({ source: what, limit: 50 })
  const readable = newestStateFirst(ofSource).find(
    (backup) => backup.type !== 'pre_restore' && bestCopies(backup.copies).length > 0,
  )
  if (readable) return readable
  if (ofSource.length > 0) throw new SalvorError('NO_GOOD_COPY', { backup: `any backup of ${what}` })
  const { sources, fleets } = runtime.deps.settings()
  if (fleets?.has(what)) throw noSource(what, fleets)
  if (sources.has(what)) throw new SalvorError('BACKUP_UNKNOWN', { backup: `source ${what} (it has none yet)` })
  return catalog.backup(what)
}
