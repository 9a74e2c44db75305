import { resolve } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext, RecoveryRequest } from '@salvor/shared/ports/engine'
import type { RestoredAnswer } from '@salvor/shared/ports/reading'
import { ServerError } from './protocol/server-error.ts'
import { majorOf } from './prove.ts'
import { lackSaid } from './sandbox/missing.ts'
import { serverPrograms } from './sandbox/programs.ts'
import { Sandbox } from './sandbox/sandbox.ts'
import { codeOf, throwIfMissing } from './sandbox/tables.ts'

export interface AskRequest {
  readonly folder: string
  readonly database: string
  readonly sql: string
  /** What was restored is to be brought forward by it first; absent: it is asked as it was backed up. */
  readonly recovery: RecoveryRequest | undefined
}

const ANSWER_MS = 3_600_000
const SLACK_MS = 60_000
const MOST_ROWS = 100_000
const READ_ONLY_TRANSACTION = '25006'

/** Starts a server on a restored copy, alone and without a network, and gives what it answers. The copy is changed by it. */
export async function ask(
  context: EngineContext,
  { folder: given, database, sql, recovery }: AskRequest,
  signal: AbortSignal,
): Promise<readonly RestoredAnswer[]> {
  const { source, scratch_dir, server_programs } = context
  const folder = resolve(given)
  const major = await majorOf(folder, source)
  await using programs = await serverPrograms(source, major, server_programs)
  await using sandbox = await Sandbox.around(folder, scratch_dir, programs.bin, major, recovery)
  context.progress({ phase: 'replay', done_bytes: 0, total_bytes: null })
  if (!(await sandbox.recover(signal)) || !(await sandbox.start(signal))) throw await gaveUp(sandbox, source)
  context.progress({ phase: 'ask', done_bytes: 0, total_bytes: null })
  try {
    await using link = await sandbox.connect(database, signal)
    await link.rows(`SET default_transaction_read_only = on; SET statement_timeout = ${ANSWER_MS}`, SLACK_MS, signal)
    const sets = await link.rows(sql, ANSWER_MS + SLACK_MS, signal, MOST_ROWS)
    if (sets.some(({ count }) => count > MOST_ROWS)) throw failed(source, `more than ${MOST_ROWS} rows: say LIMIT`)
    return sets.map(({ columns, rows }) => ({ columns, rows }))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SalvorError) throw error
    throwIfMissing(error, source)
    if (error instanceof ServerError && error.sqlState === READ_ONLY_TRANSACTION)
      throw new SalvorError('QUERY_REFUSED', { source, what: 'a statement that writes' })
    throw failed(source, reasonOf(error))
  }
}

function failed(source: string, reason: string): SalvorError {
  return new SalvorError('QUERY_FAILED', { source, reason })
}

/** Messages about the text of the SQL name nothing else; others may quote a value, and are told by their code. */
function reasonOf(error: unknown): string {
  if (error instanceof ServerError && error.sqlState.startsWith('42')) return error.message
  return codeOf(error)
}

async function gaveUp(sandbox: Sandbox, source: string): Promise<SalvorError> {
  const words = await sandbox.lastWords()
  return lackSaid(words, source) ?? new SalvorError('RESTORE_FAILED', { target: 'the sandbox', reason: words })
}
