import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Failure } from '@salvor/shared/vocabulary/run'
import { createRedactor } from '../redact.ts'

/** What leaves a task. Facts are clean by promise; a driver's words may still have come into them. */
export function cleanFailure(
  thrown: unknown,
  secrets: () => readonly string[],
): { readonly failure: Failure; readonly facts: Readonly<Record<string, string>> } {
  const error = asSalvorError(thrown)
  const redactor = createRedactor(secrets)
  const { code, message, hint, retryable } = error.toFailure()
  const facts = Object.entries(error.facts).map(([name, value]) => [name, redactor.text(value)])
  return {
    failure: { code, message: redactor.text(message), hint: redactor.text(hint), retryable },
    facts: Object.fromEntries(facts) as Record<string, string>,
  }
}
