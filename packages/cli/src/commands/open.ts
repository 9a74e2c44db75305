import { text } from 'node:stream/consumers'
import { askRestorePoint } from '@salvor/runtime/ask-restore-point'
import { openRestorePoint } from '@salvor/runtime/open-restore-point'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import { choosePoint, knowsPointIn } from '../choose-point.ts'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn, unreadableIn, unreadableLines } from '../from-store.ts'
import { done, type Answer } from '../output.ts'
import { collect, printTo } from '../query-output.ts'
import { dotCommand, sqlPrompt } from '../sql-prompt.ts'

export interface OpenOptions extends GlobalOptions {
  readonly at?: string
  readonly backup?: string
  readonly from?: string
  readonly keys?: string
  readonly sql?: string
}

/** `salvor open SOURCE|BACKUP`: SQL over a backup where it lies, or (PostgreSQL, `--sql` only) over a copy in the sandbox. That it was opened is in the audit; what was asked and answered is nowhere. */
export async function open(what: string, options: OpenOptions, signal: AbortSignal): Promise<Answer> {
  if (options.json && options.sql === undefined)
    throw new SalvorError('USAGE', { reason: '--json needs --sql', command: 'open' })
  const knows = (known: Runtime) => knowsPointIn(known, options.backup ?? what, options.from)
  await using runtime = await openWithFrom(options, options.from, { keys: options.keys }, knows, signal)
  const store = storeIn(runtime, options.from) ?? null
  const point = await choosePoint(runtime, what, options, store, signal)
  const { catalog } = runtime.deps
  const { id, source } = await catalog.backup(point.backup_id)
  await catalog.transaction({ service: 'cli' }, (tx) =>
    tx.audit({ actor: 'cli', action: 'open', object: id, outcome: 'read' }),
  )
  const sql = options.sql === undefined ? null : await typed(options.sql)
  if (sql !== null && options.json) {
    const results = await collect(askRestorePoint(runtime, point, sql, store, signal), source)
    return done({ backup: id, source, consistent_at: point.at, results }, [])
  }
  const lines = [...unreadableLines(unreadableIn(runtime)), pc.dim(`${source}, state of ${point.at}, read only`)]
  process.stderr.write(lines.map((line) => `${line}\n`).join(''))
  if (sql === null) {
    await using opened = await openRestorePoint(runtime, point, store, signal)
    await sqlPrompt(source, opened.reader, signal)
  } else await printTo(process.stdout, askRestorePoint(runtime, point, sql, store, signal))
  if (signal.aborted) throw new SalvorError('INTERRUPTED')
  return done({}, [])
}

/** `-`: what stands on stdin, for SQL that is not to be seen in a list of processes. */
export async function typed(sql: string): Promise<string> {
  const given = sql === '-' ? await text(process.stdin) : sql
  return given.trim().startsWith('.') ? (dotCommand(given) ?? given) : given
}
