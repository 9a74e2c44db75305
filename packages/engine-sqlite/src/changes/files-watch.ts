import { stat } from 'node:fs/promises'
import type { FileIdentity } from '../child/messages.ts'

/** Coarser than the times of any file system: a later write shows, for it gets another time. */
const YOUNG_NS = 3_000_000_000n

/** Whether a database and its log are as they were, by names and times alone: an idle database costs two looks a second. */
export class FilesWatch {
  readonly #paths: readonly string[]
  readonly #file: FileIdentity
  #seen: string | null = null
  /** Its name belongs to another file now, or to none. */
  isReplaced = false

  constructor(path: string, file: FileIdentity) {
    this.#paths = [path, `${path}-wal`]
    this.#file = file
  }

  /** True: nothing was written since this was asked before. `nowMs`: wall clock, from before this call. */
  async isStill(nowMs: number): Promise<boolean> {
    const now = BigInt(Math.floor(nowMs)) * 1_000_000n
    const looks = await Promise.all(this.#paths.map((path) => stat(path, { bigint: true }).catch(() => null)))
    this.isReplaced = looks[0]?.ino !== this.#file.ino || looks[0].dev !== this.#file.dev
    const seen = looks
      .map((file) => file && `${file.dev}:${file.ino}:${file.size}:${file.mtimeNs}:${file.ctimeNs}`)
      .join(' ')
    const young = looks.some((file) => file !== null && now - maxOf(file.mtimeNs, file.ctimeNs) < YOUNG_NS)
    const still = seen === this.#seen && !young
    this.#seen = young ? null : seen
    return still
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
