import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { EmbeddedError } from './thread-client.ts'

/** SQLite's result as one of the catalog's errors; anything else passes unchanged. */
export function translateEmbedded(error: unknown): unknown {
  if (!(error instanceof EmbeddedError)) return error
  const { code, message } = error
  if (FULL.test(code)) return new SalvorError('CATALOG_FULL', { reason: message }, error)
  if (DAMAGED.test(code)) return new SalvorError('CATALOG_DAMAGED', { reason: message }, error)
  if (code.startsWith('SQLITE_BUSY')) {
    return new SalvorError('CATALOG_UNREACHABLE', { reason: 'another process held its lock for 10 s' }, error)
  }
  if (UNREACHABLE.test(code)) return new SalvorError('CATALOG_UNREACHABLE', { reason: message }, error)
  return new SalvorError('INTERNAL', { what: `the catalog refused a statement (${code})` }, error)
}

// SHMSIZE: the index of the WAL could not grow, which is how a full disk shows itself on the first statement.
const FULL = /^SQLITE_(FULL|IOERR_SHMSIZE)$/
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/
const UNREACHABLE = /^SQLITE_(LOCKED|IOERR|CANTOPEN|READONLY|PERM|AUTH|PROTOCOL|NOMEM|NOLFS)|^SALVOR_(THREAD|CLOSED)$/
