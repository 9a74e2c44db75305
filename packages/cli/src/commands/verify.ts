import type { Runtime } from '@salvor/runtime/open-runtime'
import { newestStateFirst } from '@salvor/policy/chain'
import { bestCopies } from '@salvor/policy/copies'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Failure } from '@salvor/shared/vocabulary/run'
import type { Check, VerificationLevel } from '@salvor/shared/vocabulary/verification'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn, unreadableIn, unreadableLines } from '../from-store.ts'
import { done, span, stateWord, type Answer } from '../output.ts'
import { perform } from '../perform.ts'
import { runFailure } from '../run-failure.ts'

/** Enough to find the newest state: what was written last may hold an older one. */
const LOOKED_AT = 50

export interface VerifyOptions extends GlobalOptions {
  readonly level: VerificationLevel
  readonly from?: string
  readonly keys?: string
}

interface Result {
  readonly document: {
    backup: string
    source: string
    store: string
    level: VerificationLevel
    ok: boolean
    checks: readonly Check[]
    error?: Failure
  }
  readonly lines: readonly string[]
  readonly exit: number
}

/** `salvor verify BACKUP|latest [SOURCE]`: one result, or a list of them for the newest backup of several sources. */
export async function verify(
  which: string,
  source: string | undefined,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<Answer> {
  const needs = { keys: options.keys, expects: options.level === 'restore' ? 'prove' : 'inspect' } as const
  const knows = async (known: Runtime): Promise<boolean> => {
    const asked = await chosen(known, which, source).catch(() => [])
    return asked.some((backup) => backup.copies.some((copy) => copy.store === options.from))
  }
  await using runtime = await openWithFrom(options, options.from, needs, knows, signal)
  const backups =
    'unreadable' in runtime ? await chosenThere(runtime, which, source) : await chosen(runtime, which, source)
  const from = storeIn(runtime, options.from)
  const results: Result[] = []
  for (const backup of backups)
    results.push(await verifyOne(runtime, backup, { ...options, ...(from === undefined ? {} : { from }) }, signal))
  const lines = [...unreadableLines(unreadableIn(runtime)), ...results.flatMap((result) => result.lines)]
  const exit = worstExit(results.map((result) => result.exit))
  const [only] = results
  const single = only !== undefined && (which !== 'latest' || source !== undefined)
  return done(
    single ? only.document : { ok: results.every((r) => r.document.ok), results: results.map((r) => r.document) },
    lines,
    exit,
  )
}

/** A failed verification outweighs a failed run, and that one a machine that cannot prove. */
function worstExit(exits: readonly number[]): number {
  const order: readonly number[] = [EXIT.verificationFailed, EXIT.failed, EXIT.incomplete]
  return order.find((exit) => exits.includes(exit)) ?? exits.find((exit) => exit !== EXIT.done) ?? EXIT.done
}

async function chosen(
  runtime: Runtime,
  which: string,
  source: string | undefined,
): Promise<readonly BackupWithCopies[]> {
  const { catalog } = runtime.deps
  const { sources } = runtime.deps.settings()
  if (which !== 'latest') return [await catalog.backup(which)]
  if (source !== undefined && !sources.has(source)) throw new SalvorError('SOURCE_UNKNOWN', { source })
  const names = source === undefined ? [...sources.keys()] : [source]
  const newest = await Promise.all(names.map((name) => catalog.backups({ source: name, limit: LOOKED_AT })))
  const found = newest.flatMap((backups) => newestStateFirst(backups).slice(0, 1))
  if (found.length === 0)
    throw new SalvorError('BACKUP_UNKNOWN', { backup: source === undefined ? 'latest' : `latest of ${source}` })
  return found
}

/** `latest` of every source, or of one, that the store alone shows. */
async function chosenThere(runtime: Runtime, which: string, source: string | undefined) {
  const { catalog } = runtime.deps
  if (which !== 'latest') return [await catalog.backup(which)]
  const newest = new Map<string, BackupWithCopies>()
  for (const backup of newestStateFirst(await catalog.backups(source === undefined ? {} : { source }))) {
    if (!newest.has(backup.source)) newest.set(backup.source, backup)
  }
  if (newest.size === 0) throw new SalvorError('BACKUP_UNKNOWN', { backup: `latest of ${source ?? 'the store'}` })
  return [...newest.values()]
}

async function verifyOne(
  runtime: Runtime,
  backup: BackupWithCopies,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<Result> {
  const store =
    options.from ?? (bestCopies(backup.copies)[0] ?? backup.copies.find((copy) => copy.state === 'corrupt'))?.store
  if (store === undefined) throw new SalvorError('NO_GOOD_COPY', { backup: backup.id })
  const params = { backup_id: backup.id, store, level: options.level }
  const label = `verify ${backup.source}`
  const { run } = await perform(
    runtime,
    { job: 'verify-copy', source: backup.source, params },
    { label, quiet: options.json, signal },
  )
  if (run.state !== 'succeeded') throw runFailure(run)
  const seen = run.result as {
    checks: readonly Check[]
    unproven: string | null
    level: VerificationLevel
    duration_ms: number
  }
  const passed = seen.checks.every((check) => check.ok)
  const checks = seen.unproven === null ? seen.checks : [...seen.checks, unprovenCheck(seen.unproven)]
  const ok = passed && seen.unproven === null
  const exit = passed ? (seen.unproven === null ? EXIT.done : EXIT.incomplete) : EXIT.verificationFailed
  const failed = checks.filter((check) => !check.ok)
  const facts = { count: String(failed.length), names: failed.map((check) => check.name).join(', '), backup: backup.id }
  const error = exit === EXIT.verificationFailed ? { error: new SalvorError('CHECKS_FAILED', facts).toFailure() } : {}
  const after = await runtime.deps.catalog.backup(backup.id)
  const lines = [
    `${ok ? pc.green('✓') : exit === EXIT.incomplete ? pc.yellow('?') : pc.red('✗')} ${backup.source}  ${backup.filename} in ${store}: ${stateWord(after.state)} (${options.level}, ${span(seen.duration_ms)})`,
    ...checks.map(
      (check) => `  ${check.ok ? pc.green('ok  ') : pc.red('bad ')} ${check.name}  ${pc.dim(check.detail)}`,
    ),
  ]
  return {
    document: { backup: backup.id, source: backup.source, store, level: options.level, ok, checks, ...error },
    lines,
    exit,
  }
}

function unprovenCheck(why: string): Check {
  return { name: 'restore', ok: false, detail: `not tried here: ${why}`, duration_ms: 0 }
}
