import { resolve } from 'node:path'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { bestCopies } from '@salvor/policy/copies'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RecoveryReached } from '@salvor/shared/vocabulary/recovery'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { RestoreParts } from '@salvor/shared/ports/engine'
import { HOOK_CHECK, type Check } from '@salvor/shared/vocabulary/verification'
import pc from 'picocolors'
import { chosenBackup, knowsIn } from '../chosen-backup.ts'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn, unreadableIn, unreadableLines } from '../from-store.ts'
import { done, span, type Answer } from '../output.ts'
import { perform } from '../perform.ts'
import { runFailure } from '../run-failure.ts'
import { plannedRestore } from '../planned-restore.ts'
import { recoveryWanted, type RecoveryOptions } from '../recovery-options.ts'
import { isServer, planAnswer } from '../restore-plan.ts'
import { assertStream, standardOutput, STREAM, streaming } from '../restore-stream.ts'

export interface RestoreOptions extends GlobalOptions, RecoveryOptions {
  readonly to: string
  readonly backup?: string
  readonly from?: string
  readonly keys?: string
  readonly inPlace: boolean
  /** Only what differs is written; `any`: over whatever cluster. */
  readonly delta?: 'same' | 'any'
  readonly plan: boolean
  /** Run a server on it to the target, and stop it. */
  readonly start: boolean
  /** New places of tablespaces by their former ones. */
  readonly tablespaces: Readonly<Record<string, string>>
  /** Logical backups: what of it is wanted. */
  readonly parts?: RestoreParts
}

/** `salvor restore SOURCE|BACKUP --to TARGET`: always in this process, so that the files appear where the person sits. */
export async function restore(what: string, options: RestoreOptions, signal: AbortSignal): Promise<Answer> {
  const streams = options.to === STREAM
  if (streams) assertStream(options)
  // A server that is started wants a process group of its own; what is replaced may be a database that this process has open.
  const here = !options.inPlace && !options.start
  const needs = { keys: options.keys, ...(options.plan || streams ? {} : { expects: 'restore' as const, here }) }
  const knows = (known: Runtime) => knowsIn(known, what, options.backup, options.from)
  await using runtime = await openWithFrom(options, options.from, needs, knows, signal)
  const from = storeIn(runtime, options.from)
  if (options.inPlace && 'unreadable' in runtime) throw new SalvorError('USAGE', IN_PLACE)
  const wanted = recoveryWanted(options, runtime.deps.settings().timezone)
  const recovery = wanted && (await plannedRestore(runtime, what, options, wanted, signal))
  const backup = await chosenBackup(runtime, what, recovery?.backup_id ?? options.backup)
  const copies = bestCopies(backup.copies).filter((copy) => from === undefined || copy.store === from)
  const [copy] = copies
  if (!copy) throw new SalvorError('NO_GOOD_COPY', { backup: `${backup.id}${from ? ` in ${from}` : ''}` })
  const target = streams ? STREAM : isServer(options.to) ? options.to : resolve(options.to)
  const tablespaces = placesOf(options.tablespaces, backup)
  if (options.start) assertServer(backup)
  if (options.delta) assertLaidOver(backup, target)
  if (options.plan) return planAnswer(runtime, { backup, store: copy.store, from }, { ...options, target }, recovery)
  const params = {
    backup_id: backup.id,
    store: copy.store,
    target,
    in_place: options.inPlace,
    ...(options.delta && { delta: options.delta }),
    tablespaces,
    ...(options.parts && { parts: mutable(options.parts) }),
    ...(wanted && { recovery: wanted }),
    ...(options.start && { start: true }),
  }
  const wish = { job: 'restore-backup', source: backup.source, params } as const
  const label = `restore ${backup.source}`
  using output = streams ? standardOutput() : null
  const { run } = await perform(output ? streaming(runtime, output.sink) : runtime, wish, {
    label,
    quiet: options.json,
    signal,
    alwaysHere: true,
  })
  if (run.state !== 'succeeded') throw runFailure(run)
  const { recovered_to, checks, duration_ms, reached } = run.result as Restored
  const ok = checks.every((check) => check.ok)
  const exit = exitOf(checks)
  const lines = [
    ...unreadableLines(unreadableIn(runtime)),
    `${ok ? pc.green('✓') : pc.red('✗')} ${backup.source}  ${backup.filename} from ${copy.store} → ${streams ? 'stdout' : target}`,
    `  recovered to ${recovered_to} in ${span(duration_ms)}`,
    ...checks.map(
      (check) => `  ${check.ok ? pc.green('ok  ') : pc.red('bad ')} ${check.name}  ${pc.dim(check.detail)}`,
    ),
    ...(reached ? reachedLines(reached) : []),
  ]
  if (streams) {
    // stdout carries the data alone.
    process.stderr.write(lines.map((line) => `${line}\n`).join(''))
    return done({}, [], exit)
  }
  const document = {
    backup: backup.id,
    target,
    ok,
    recovered_to,
    duration_ms,
    checks,
    store: copy.store,
    ...(reached && { reached }),
  }
  return done(document, lines, exit)
}

/** The data came back, and what was to start behind it did not: part of the work is missing. */
function exitOf(checks: readonly Check[]): number {
  const bad = checks.filter(({ ok }) => !ok)
  if (bad.length === 0) return EXIT.done
  return bad.every(({ name }) => name.startsWith(HOOK_CHECK)) ? EXIT.incomplete : EXIT.verificationFailed
}

interface Restored {
  readonly recovered_to: string
  readonly checks: readonly Check[]
  readonly duration_ms: number
  readonly reached: RecoveryReached | null
}

const STATES = {
  promoted: 'a server of its own from now on',
  paused: 'it pauses there when it is started',
  consistent: 'the backup as it was',
} as const

function reachedLines({ state, stopped, last_commit_at, lsn, timeline, duration_ms }: RecoveryReached): string[] {
  const end = stopped === null ? 'replayed to its end' : `stopped ${stopped}`
  return [
    `  started: ${end}, in ${span(duration_ms)}; timeline ${timeline}, ${STATES[state]}`,
    `  ${last_commit_at === null ? '' : `last commit ${last_commit_at}, `}WAL read up to ${lsn ?? 'nothing'}; the server is stopped again`,
  ]
}

function assertServer({ engine }: BackupWithCopies): void {
  if (engine !== 'postgres')
    throw new SalvorError('USAGE', { reason: `a backup of ${engine} is not started`, command: 'restore' })
}

function assertLaidOver({ engine, source_db }: BackupWithCopies, target: string): void {
  if (engine !== 'postgres' || isServer(target))
    throw new SalvorError('USAGE', {
      reason: `--delta is for data folders of PostgreSQL, not for ${source_db}`,
      command: 'restore',
    })
}

const mutable = ({ databases, schemas, tables }: RestoreParts) => ({
  ...(databases && { databases: [...databases] }),
  ...(schemas && { schemas: [...schemas] }),
  ...(tables && { tables: [...tables] }),
})

/** A pre_restore backup belongs into the catalog that people look into. */
const IN_PLACE = {
  reason: '--in-place needs a catalog that knows the backup; restore to a new place and move it there',
  command: 'restore',
}

function placesOf(wishes: RestoreOptions['tablespaces'], backup: BackupWithCopies): Record<string, string> | undefined {
  const places = Object.entries(wishes).map(([old, place]) => [old, resolve(place)])
  if (places.length === 0) return undefined
  if (backup.engine !== 'postgres') {
    throw new SalvorError('USAGE', { reason: `a backup of ${backup.engine} has no tablespaces`, command: 'restore' })
  }
  return Object.fromEntries(places) as Record<string, string>
}
