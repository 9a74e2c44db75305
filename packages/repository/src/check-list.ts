import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Check } from '@salvor/shared/vocabulary/verification'

/** Errors that say something about the bytes of a copy. Every other one says that it could not be looked at. */
const ABOUT_THE_COPY = new Set([
  'ARTIFACT_CORRUPT',
  'MANIFEST_INVALID',
  'SIGNER_UNKNOWN',
  'STORE_KEY_INVALID',
  'STORE_NOT_FOUND',
  'STORE_TRUNCATED',
])

/** Collects what was looked at. A bad copy is a finding; a store that cannot be reached is thrown. */
export class CheckList {
  readonly checks: Check[] = []
  readonly #monotonicMs: () => number

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs
  }

  /** Runs one check; gives its value, or null when it failed. `detail` says in numbers what was good. */
  async run<T>(name: string, work: () => Promise<{ readonly value: T; readonly detail: string }>): Promise<T | null> {
    const start = this.#monotonicMs()
    const add = (ok: boolean, detail: string) =>
      this.checks.push({ name, ok, detail, duration_ms: Math.round(this.#monotonicMs() - start) })
    try {
      const { value, detail } = await work()
      add(true, detail)
      return value
    } catch (error) {
      if (!(error instanceof SalvorError) || !ABOUT_THE_COPY.has(error.code)) throw error
      add(false, error.message)
      return null
    }
  }

  add(name: string, ok: boolean, detail: string): void {
    this.checks.push({ name, ok, detail, duration_ms: 0 })
  }
}
