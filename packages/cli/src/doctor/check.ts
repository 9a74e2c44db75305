import { asSalvorError } from '@salvor/shared/errors/salvor-error'

/** One line of `salvor doctor`. Advice is `ok` and has a hint. */
export interface DoctorCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  /** What to do; empty: nothing. */
  readonly hint: string
}

export const good = (name: string, detail: string, hint = ''): DoctorCheck => ({ name, ok: true, detail, hint })

export const bad = (name: string, detail: string, hint: string): DoctorCheck => ({ name, ok: false, detail, hint })

/** What `look` finds out; a failure of it is a check that failed, with the failure's own hint. */
export async function checked(
  name: string,
  look: () => Promise<readonly DoctorCheck[]>,
): Promise<readonly DoctorCheck[]> {
  try {
    return await look()
  } catch (thrown) {
    const { message, hint } = asSalvorError(thrown).toFailure()
    return [{ name, ok: false, detail: message, hint }]
  }
}
