import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import { rowOf } from '@salvor/repository/store-index'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { openFromStore, unreadableIn, unreadableLines } from '../from-store.ts'
import { bytes, done, stateWord, table, type Answer } from '../output.ts'

/** `salvor list [SOURCE]`: newest first; with `--from` what a store itself shows, without the catalog. Sources that left the configuration are listed too while they have backups. */
export async function list(
  source: string | undefined,
  options: GlobalOptions & { readonly limit: number; readonly from?: string; readonly keys?: string },
  signal: AbortSignal,
): Promise<Answer> {
  const { from, keys } = options
  await using runtime =
    from === undefined ? await openForCommand(options) : await openFromStore(options, from, { keys }, signal)
  const unreadable = unreadableIn(runtime)
  const { catalog } = runtime.deps
  const backups = await catalog.backups({ ...(source === undefined ? {} : { source }), limit: options.limit })
  if (
    from === undefined &&
    source !== undefined &&
    backups.length === 0 &&
    !runtime.deps.settings().sources.has(source)
  ) {
    throw new SalvorError('SOURCE_UNKNOWN', { source })
  }
  const rows = backups.map((backup) => [
    backup.id.slice(0, 13),
    backup.source,
    backup.retention_class,
    stateWord(backup.state),
    backup.timestamp.slice(0, 19).replace('T', ' '),
    bytes(backup.size_bytes),
    backup.copies.map((copy) => `${copy.store}:${stateWord(copy.state)}`).join(' '),
    backup.filename,
  ])
  const head = ['ID', 'SOURCE', 'CLASS', 'STATE', 'TAKEN (UTC)', 'STORED', 'COPIES', 'FILE'].map((word) => pc.dim(word))
  const none = from === undefined ? 'No backups yet: salvor backup SOURCE' : `No backups in ${from}`
  const lines = rows.length === 0 ? [none] : table([head, ...rows])
  const document = { backups: backups.map(rowOf), ...(from === undefined ? {} : { unreadable }) }
  return done(document, [...lines, ...unreadableLines(unreadable)])
}
