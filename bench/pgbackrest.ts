import { measure, type Cost } from './measure.ts'
import { pgbackrestIn, type Cluster, type PgBackRestPlace } from './pgbackrest-place.ts'
import type { Workplace } from './workplace.ts'

/** pgBackRest on the same cluster: archive check off since the bench stores no WAL stream. */
export class PgBackRest {
  readonly full: Cost[] = []
  readonly restore: Cost[] = []
  /** Onto what the restore has just made. */
  readonly delta: Cost[] = []
  /** Why it could not be measured here. */
  refusal: string | null = null
  readonly #place: Workplace
  readonly #rest: PgBackRestPlace

  constructor(program: string, place: Workplace, cluster: Cluster) {
    this.#place = place
    this.#rest = pgbackrestIn(program, place, cluster)
  }

  async round(): Promise<void> {
    if (this.refusal !== null) return
    try {
      this.#rest.clear()
      await measure(this.#rest.run('stanza-create'))
      this.full.push(await measure(this.#backup('full')))
      this.#place.fresh('rest-out')
      this.restore.push(await measure(this.#rest.run('restore', `--pg1-path=${this.#rest.folder('rest-out')}`)))
      const onto = this.#rest.run('restore', '--delta', `--pg1-path=${this.#rest.folder('rest-out')}`)
      this.delta.push(await measure(onto))
    } catch (error) {
      this.refusal = refusalOf(error)
    }
  }

  #backup(type: string) {
    return this.#rest.run('backup', `--type=${type}`, '--no-archive-check', '--start-fast')
  }
}

export function refusalOf(error: unknown): string {
  return `pgBackRest did not run here: ${error instanceof Error ? error.message.slice(-300) : String(error)}`
}
