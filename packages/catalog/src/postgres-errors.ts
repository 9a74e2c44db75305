import { SalvorError } from '@salvor/shared/errors/salvor-error'

const CONFLICTS = new Set(['40001', '40P01'])
const FULL = new Set(['53100'])
/** Connections, resources, operator's doings, locks that did not come free, logins, rights, a read-only standby. */
const UNREACHABLE = /^(08|53|57|28|42501|55P03|25006|25P0[34]|3D000|58)/
const SQLSTATE = /^[0-9A-Z]{5}$/
const OWN_BUGS = new Set(['TypeError', 'RangeError', 'AbortedTransactionError'])

/** The driver's error as one of the catalog's; anything else passes unchanged. A server's DETAIL never gets into a text. */
export function translatePostgres(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SalvorError || OWN_BUGS.has(error.name)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (FULL.has(code))
    return new SalvorError('CATALOG_FULL', { reason: 'its PostgreSQL server has no room left' }, error)
  if (CONFLICTS.has(code)) return unreachable('too many transactions wanted the same rows', error)
  if (SQLSTATE.test(code)) {
    if (UNREACHABLE.test(code)) return unreachable(`${error.message} (${code})`, error)
    return new SalvorError('INTERNAL', { what: `the catalog refused a statement (${code})` }, error)
  }
  // Neither SQLSTATE nor SalvorError: the socket, or the driver about its socket.
  return unreachable(reasonOf(error), error)
}

/** True for a transaction that failed only because of another one: it was rolled back, and may be run again. */
export function isPostgresConflict(error: unknown): boolean {
  const cause = error instanceof SalvorError ? error.cause : null
  return cause instanceof Error && 'code' in cause && CONFLICTS.has(String(cause.code))
}

function unreachable(reason: string, cause: Error): SalvorError {
  return new SalvorError('CATALOG_UNREACHABLE', { reason }, cause)
}

/** A name with several addresses fails with one error for each, and an empty text of its own. */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((each: Error) => each.message).join(', ')
  return error.message
}
