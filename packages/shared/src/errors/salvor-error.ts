import type { Failure } from '../vocabulary/run.ts'
import { CODES, type ErrorCode } from './codes.ts'

/**
 * The one error class. `facts` fill the `{slots}` of the code's message and hint, and must hold no secret and no row of
 * a source: whoever throws has redacted. Wrap once, with `cause`; log once, at the edge.
 */
export class SalvorError extends Error {
  readonly code: ErrorCode
  readonly facts: Readonly<Record<string, string>>

  constructor(code: ErrorCode, facts: Readonly<Record<string, string>> = {}, cause?: unknown) {
    super(fill(CODES[code].message, facts), cause === undefined ? undefined : { cause })
    this.name = 'SalvorError'
    this.code = code
    this.facts = facts
  }
  get hint(): string {
    return fill(CODES[this.code].hint, this.facts)
  }
  get retryable(): boolean {
    return CODES[this.code].retryable
  }
  /** Exit code of a command that ends with this error. */
  get exit(): number {
    return CODES[this.code].exit
  }
  toFailure(): Failure {
    return { code: this.code, message: this.message, hint: this.hint, retryable: this.retryable }
  }
}

/** Any thrown value as a SalvorError: a bug becomes INTERNAL, with its message kept for the log only. */
export function asSalvorError(thrown: unknown): SalvorError {
  if (thrown instanceof SalvorError) return thrown
  return new SalvorError('INTERNAL', { what: thrown instanceof Error ? thrown.name : typeof thrown }, thrown)
}

/** A failure that crossed a process boundary, as an error again. */
export function fromFailure(failure: Failure, facts: Readonly<Record<string, string>> = {}): SalvorError {
  const code = failure.code in CODES ? (failure.code as ErrorCode) : 'INTERNAL'
  const error = new SalvorError(code, facts)
  error.message = failure.message
  Object.defineProperty(error, 'hint', { value: failure.hint })
  return error
}

function fill(text: string, facts: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (slot, name: string) => facts[name] ?? slot)
}
