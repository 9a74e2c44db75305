import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { QueryPart } from '@salvor/shared/ports/reading'
import type { RecoveryInput } from '@salvor/shared/ports/tasks'
import { chainAddresses } from './chain-addresses.ts'
import { openRestorePoint, type StoredPoint } from './open-restore-point.ts'
import type { Runtime } from './open-runtime.ts'

/** A restore point, or an instant behind one that change sets, or WAL that is replayed on it, reach. */
export interface AskedPoint extends StoredPoint {
  readonly recovery?: RecoveryInput
}

/**
 * What SQL gives at a point: where it lies if its engine can, else from a copy that is restored into the sandbox for it. Fails as `openRestorePoint`
 * and its queries do, and as a restore does.
 */
export async function* askRestorePoint(
  runtime: Runtime,
  point: AskedPoint,
  sql: string,
  store: string | null,
  signal: AbortSignal,
): AsyncGenerator<QueryPart, void, undefined> {
  let unsupported: unknown = null
  if (point.recovery === undefined) {
    try {
      await using opened = await openRestorePoint(runtime, point, store, signal)
      yield* opened.reader.query(sql, signal)
      return
    } catch (error) {
      if (!isUnsupported(error)) throw error
      unsupported = error
    }
  }
  try {
    yield* restoredAnswers(runtime, point, sql, store, signal)
  } catch (error) {
    throw isUnsupported(error) ? (unsupported ?? error) : error
  }
}

async function* restoredAnswers(
  { deps }: Runtime,
  { backup_id, recovery }: AskedPoint,
  sql: string,
  store: string | null,
  signal: AbortSignal,
): AsyncGenerator<QueryPart, void, undefined> {
  const chain = await deps.catalog.chain(backup_id)
  const { source } = chain.at(-1)!
  const input = { source, chain: chainAddresses(chain, store), sql, recovery }
  const { results } = await deps.tasks.run('ask', input, () => undefined, signal)
  for (const { columns, rows } of results) {
    yield { columns }
    yield { rows }
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof SalvorError && error.code === 'READING_UNSUPPORTED'
}
