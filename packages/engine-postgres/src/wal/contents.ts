import type { Instant } from '@salvor/shared/vocabulary/instant'
import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { RestorePoint, WalContents } from '@salvor/shared/vocabulary/wal'
import type { RecordVisitor } from './records.ts'

const MOST_POINTS = 64

/** What went by since it was begun. */
export class Contents implements RecordVisitor {
  #first: Instant | null = null
  #last: Instant | null = null
  #lastAt = 0n
  readonly #points: RestorePoint[] = []

  commit(at: Instant, position: bigint): void {
    if (this.#first === null || at < this.#first) this.#first = at
    if (this.#last === null || at > this.#last) this.#last = at
    this.#lastAt = position
  }

  restorePoint(name: string, at: Instant, position: bigint): void {
    // A name that a terminal or a command line would not show as it is can be reached by its position only.
    if (this.#points.length === MOST_POINTS || name === '' || /[\p{Cc}\p{Cf}\ufffd]/u.test(name)) return
    this.#points.push({ name, lsn: lsnText(position), at })
  }

  /** These, with what went by before them. */
  after(earlier: WalContents): Contents {
    const both = new Contents()
    const { first_commit_at, last_commit_at, last_commit_lsn } = earlier
    if (first_commit_at !== null && last_commit_at !== null && last_commit_lsn !== null) {
      both.commit(first_commit_at, 0n)
      both.commit(last_commit_at, lsnValue(last_commit_lsn))
    }
    if (this.#first !== null && this.#last !== null) {
      both.commit(this.#first, 0n)
      both.commit(this.#last, this.#lastAt)
    }
    both.#points.push(...[...earlier.restore_points, ...this.#points].slice(0, MOST_POINTS))
    return both
  }

  summary(): WalContents {
    return {
      first_commit_at: this.#first,
      last_commit_at: this.#last,
      last_commit_lsn: this.#last === null ? null : lsnText(this.#lastAt),
      restore_points: [...this.#points],
    }
  }
}
