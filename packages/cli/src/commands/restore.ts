import { resolve } from 'node:path'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { newestStateFirst } from '@salvor/policy/chain'
import { bestCopies } from '@salvor/policy/copies'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { fromFailure, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Check } from '@salvor/shared/vocabulary/verification'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn, unreadableIn, unreadableLines } from '../from-store.ts'
import { bytes, done, span, type Answer } from '../output.ts'
import { perform } from '../perform.ts'
import { plannedRestore, type PlannedRestore } from '../planned-restore.ts'
import { recoveryWanted, type RecoveryOptions } from '../recovery-options.ts'

export interface RestoreOptions extends GlobalOptions, RecoveryOptions {
  readonly to: string
  readonly backup?: string
  readonly from?: string
  readonly keys?: string
  readonly inPlace: boolean
  readonly plan: boolean
  /** New places of tablespaces by their former ones. */
  readonly tablespaces: Readonly<Record<string, string>>
}

/** `salvor restore SOURCE|BACKUP --to TARGET`: always in this process, so that the files appear where the person sits. */
export async function restore(what: string, options: RestoreOptions, signal: AbortSignal): Promise<Answer> {
  const needs = { keys: options.keys, ...(options.plan ? {} : { expects: 'restore' }) }
  const knows = (known: Runtime) => knowsIn(known, what, options.backup, options.from)
  await using runtime = await openWithFrom(options, options.from, needs, knows, signal)
  const from = storeIn(runtime, options.from)
  if (options.inPlace && 'unreadable' in runtime) throw new SalvorError('USAGE', IN_PLACE)
  const wanted = recoveryWanted(options, runtime.deps.settings().timezone)
  const recovery = wanted && (await plannedRestore(runtime, what, options, wanted, signal))
  const backup = await chosen(runtime, what, recovery?.backup_id ?? options.backup)
  const copies = bestCopies(backup.copies).filter((copy) => from === undefined || copy.store === from)
  const [copy] = copies
  if (!copy) throw new SalvorError('NO_GOOD_COPY', { backup: `${backup.id}${from ? ` in ${from}` : ''}` })
  const target = resolve(options.to)
  const tablespaces = placesOf(options.tablespaces, backup)
  if (options.plan) return plan(runtime, backup, copy.store, target, options.inPlace, recovery)
  const params = {
    backup_id: backup.id,
    store: copy.store,
    target,
    in_place: options.inPlace,
    tablespaces,
    ...(wanted && { recovery: wanted }),
  }
  const wish = { job: 'restore-backup', source: backup.source, params } as const
  const label = `restore ${backup.source}`
  const { run } = await perform(runtime, wish, { label, quiet: options.json, signal, alwaysHere: true })
  if (run.state !== 'succeeded')
    throw run.error ? fromFailure(run.error) : new SalvorError('INTERNAL', { what: `run ended ${run.state}` })
  const { recovered_to, checks, duration_ms } = run.result as {
    recovered_to: string
    checks: readonly Check[]
    duration_ms: number
  }
  const ok = checks.every((check) => check.ok)
  const lines = [
    ...unreadableLines(unreadableIn(runtime)),
    `${ok ? pc.green('✓') : pc.red('✗')} ${backup.source}  ${backup.filename} from ${copy.store} → ${target}`,
    `  recovered to ${recovered_to} in ${span(duration_ms)}`,
    ...checks.map(
      (check) => `  ${check.ok ? pc.green('ok  ') : pc.red('bad ')} ${check.name}  ${pc.dim(check.detail)}`,
    ),
  ]
  const document = { backup: backup.id, target, ok, recovered_to, duration_ms, checks, store: copy.store }
  return done(document, lines, ok ? EXIT.done : EXIT.verificationFailed)
}

/** A pre_restore backup belongs into the catalog that people look into. */
const IN_PLACE = {
  reason: '--in-place needs a catalog that knows the backup; restore to a new place and move it there',
  command: 'restore',
}

/** Whether the catalog has a copy there of what is asked for. */
async function knowsIn(
  { deps }: Runtime,
  what: string,
  named: string | undefined,
  from: string | undefined,
): Promise<boolean> {
  const ofSource = named === undefined ? await deps.catalog.backups({ source: what }) : []
  const known = ofSource.length > 0 ? ofSource : [await deps.catalog.backup(named ?? what).catch(() => null)]
  return known.some((backup) => backup?.copies.some((copy) => copy.store === from) === true)
}

function placesOf(wishes: RestoreOptions['tablespaces'], backup: BackupWithCopies): Record<string, string> | undefined {
  const places = Object.entries(wishes).map(([old, place]) => [old, resolve(place)])
  if (places.length === 0) return undefined
  if (backup.engine !== 'postgres') {
    throw new SalvorError('USAGE', { reason: `a backup of ${backup.engine} has no tablespaces`, command: 'restore' })
  }
  return Object.fromEntries(places) as Record<string, string>
}

/** The backup that was named, or the newest of a source that has a copy to read. */
async function chosen(runtime: Runtime, what: string, named: string | undefined): Promise<BackupWithCopies> {
  const { catalog } = runtime.deps
  if (named !== undefined) return catalog.backup(named)
  const ofSource = await catalog.backups({ source: what, limit: 50 })
  const readable = newestStateFirst(ofSource).find(
    (backup) => backup.type !== 'pre_restore' && bestCopies(backup.copies).length > 0,
  )
  if (readable) return readable
  if (ofSource.length > 0) throw new SalvorError('NO_GOOD_COPY', { backup: `any backup of ${what}` })
  if (runtime.deps.settings().sources.has(what))
    throw new SalvorError('BACKUP_UNKNOWN', { backup: `source ${what} (it has none yet)` })
  return catalog.backup(what)
}

/** What a restore would do; nothing is written. */
function plan(
  runtime: Runtime,
  backup: BackupWithCopies,
  store: string,
  target: string,
  inPlace: boolean,
  recovery: PlannedRestore | null,
): Answer {
  const steps = [
    ...(inPlace ? [`take a pre_restore backup of ${target}`] : []),
    `read ${bytes(backup.size_bytes)} from ${store}: ${backup.source}/${backup.filename}`,
    ...(recovery ? [recovery.step] : []),
    `write ${bytes(backup.source_bytes)} beside ${target}, check them, put them in place`,
  ]
  const document = {
    backup: backup.id,
    target,
    in_place: inPlace,
    store,
    state: backup.state,
    consistent_at: backup.consistent_at,
    ...(recovery && { recovery: recovery.document }),
    bytes_to_read: backup.size_bytes,
    bytes_to_write: backup.source_bytes,
    steps,
  }
  runtime.deps.log.debug({ backup_id: backup.id, target }, 'restore planned')
  return done(document, [
    `${backup.source}  ${backup.filename} (${backup.state}), state of ${backup.consistent_at}`,
    ...steps.map((s, i) => `  ${i + 1}. ${s}`),
  ])
}
