import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { privilegeMissing } from '../failures.ts'
import { LinkLost, ServerError } from '../protocol/server-error.ts'
import type { Address } from '../connect/address.ts'

const UNUSABLE = '55000'
/** WAL that the server no longer has, or a slot that it gave up. */
const GONE: ReadonlySet<string> = new Set(['58P01', UNUSABLE])
const IN_USE = '55006'

export function isGone(error: unknown): error is ServerError {
  return error instanceof ServerError && GONE.has(error.sqlState)
}

/** Another connection has the slot. */
export function isBusy(error: unknown): boolean {
  return error instanceof ServerError && error.sqlState === IN_USE
}

/** The slot itself cannot be used: the server gave it up, or it is one of another kind. */
export function isUnusable(error: ServerError): boolean {
  return error.sqlState === UNUSABLE
}

/** What a broken stream means. */
export function streamFailure(error: unknown, source: string, address: Address): unknown {
  if (error instanceof LinkLost || error instanceof RangeError)
    return new SalvorError('SOURCE_BROKE_OFF', { source, reason: error.message }, error)
  if (!(error instanceof ServerError)) return error
  if (error.sqlState === '42501') return privilegeMissing(error, source, address)
  if (isBusy(error)) return new SalvorError('WAL_SLOT_BUSY', { source, reason: error.message }, error)
  return new SalvorError('SOURCE_BROKE_OFF', { source, reason: `${error.message} (${error.sqlState})` }, error)
}

export function notStreamed(source: string, reason: string, fix: string): SalvorError {
  return new SalvorError('WAL_NOT_STREAMED', { source, reason, fix })
}
