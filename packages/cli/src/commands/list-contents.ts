import { chainAddresses } from '@salvor/runtime/chain-addresses'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import { chosenBackup, knowsIn } from '../chosen-backup.ts'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn } from '../from-store.ts'
import { bytes, done, table, type Answer } from '../output.ts'

export interface ListContentsOptions extends GlobalOptions {
  readonly backup?: string
  readonly from?: string
  readonly keys?: string
  readonly databases: readonly string[]
}

/** `salvor restore SOURCE --list`: the databases of a backup, or with --database the objects of one in a logical backup. */
export async function listContents(what: string, options: ListContentsOptions, signal: AbortSignal): Promise<Answer> {
  const knows = (known: Runtime) => knowsIn(known, what, options.backup, options.from)
  await using runtime = await openWithFrom(options, options.from, { keys: options.keys }, knows, signal)
  const { catalog, tasks } = runtime.deps
  const [database = null, ...more] = options.databases
  if (more.length > 0) throw new SalvorError('USAGE', { reason: '--list shows one --database', command: 'restore' })
  const backup = await chosenBackup(runtime, what, options.backup)
  const chain = chainAddresses(await catalog.chain(backup.id), storeIn(runtime, options.from) ?? null)
  const { entries } = await tasks.run('contents', { source: backup.source, chain, database }, () => undefined, signal)
  const rows = entries.map(({ kind, name, detail, bytes: size }) => [
    `  ${kind}`,
    name,
    size == null ? '' : bytes(size),
    pc.dim(detail),
  ])
  return done({ backup: backup.id, database, entries }, [`${backup.source}  ${backup.filename}`, ...table(rows)])
}
