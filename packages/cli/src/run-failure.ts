import { fromFailure, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Run } from '@salvor/shared/vocabulary/run'

/** Why a run did not succeed. One that ended without an error lost its lease, and waits for whoever takes it up. */
export function runFailure({ error }: Pick<Run, 'error'>): SalvorError {
  return error ? fromFailure(error) : new SalvorError('RUN_GIVEN_UP')
}
