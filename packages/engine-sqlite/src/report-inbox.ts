import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Report, ReportOf } from './child/messages.ts'

/** Reports of a child process in their order, and its end. */
export class ReportInbox {
  readonly #failure: (failed: ReportOf<'failed'>) => SalvorError
  readonly #reports: Report[] = []
  readonly #ended = Promise.withResolvers<never>()
  #wake: (() => void) | undefined

  constructor(failure: (failed: ReportOf<'failed'>) => SalvorError) {
    this.#failure = failure
    // Whoever does not race against it learns of the end through `next`.
    this.#ended.promise.catch(() => undefined)
  }

  get ended(): Promise<never> {
    return this.#ended.promise
  }

  deliver(report: Report): void {
    this.#reports.push(report)
    this.#wake?.()
  }

  died(how: string, cause?: unknown): void {
    this.fail(new SalvorError('TASK_DIED', { task: 'the SQLite helper', how }, cause))
  }

  fail(error: SalvorError): void {
    this.#ended.reject(error)
  }

  /** The next one, which must be one of `wanted`. One wait at a time. */
  async next<R extends Report['report']>(...wanted: R[]): Promise<ReportOf<R>> {
    const reports = this.#reports
    const arrived = new Promise<void>((resolve) => {
      this.#wake = resolve
      if (reports.length > 0) resolve()
    })
    await (reports.length > 0 ? arrived : Promise.race([arrived, this.#ended.promise]))
    const report = reports.shift()
    if (report === undefined) throw new SalvorError('INTERNAL', { what: 'two waits for one report' })
    if (report.report === 'failed') throw this.#failure(report)
    if (!(wanted as string[]).includes(report.report)) {
      throw new SalvorError('INTERNAL', { what: `the SQLite helper reported ${report.report}` })
    }
    return report as ReportOf<R>
  }
}
