import { realpath, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { FileIdentity } from '../child/messages.ts'
import { LOCAL_FILE_SYSTEMS } from '../state-mark.ts'

/** Coarser than the times of any file system: a later write shows, for it gets another time. */
const YOUNG_NS = 3_000_000_000n
/** While writes are known of, the files are looked at for their names alone. */
const NAME_MS = 1_000

/** Whether a database and its log are as they were, by names and times alone: an idle database costs two looks a second. */
export class FilesWatch {
  readonly #paths: readonly [string, string]
  readonly #file: FileIdentity
  /** The times of its file system are those of the last write. Null: not asked yet. */
  #isLocal: boolean | null = null
  #seen: string | null = null
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Its name belongs to another file now, or to none. */
  isReplaced = false

  constructor(path: string, file: FileIdentity) {
    this.#paths = [path, `${path}-wal`]
    this.#file = file
  }

  /** True: nothing was written since this was asked before. `nowMs`: wall clock, from before this call. `isWritten`: that is known already. */
  async isStill(nowMs: number, isWritten = false): Promise<boolean> {
    if (isWritten && performance.now() - this.#lookedAt < NAME_MS) return false
    this.#lookedAt = performance.now()
    const now = BigInt(Math.floor(nowMs)) * 1_000_000n
    const [path] = this.#paths
    const own = realpath(path).catch(() => null)
    const looks = await Promise.all(this.#paths.map((name) => stat(name, { bigint: true }).catch(() => null)))
    // Moved, and a link left in its place: the same file, but whoever opens it by that link has its log beside it, elsewhere.
    const isElsewhere = (await own) !== path
    this.isReplaced = isElsewhere || looks[0]?.ino !== this.#file.ino || looks[0].dev !== this.#file.dev
    const seen = looks
      .map((file) => file && `${file.dev}:${file.ino}:${file.size}:${file.mtimeNs}:${file.ctimeNs}`)
      .join(' ')
    const young = looks.some((file) => file !== null && now - maxOf(file.mtimeNs, file.ctimeNs) < YOUNG_NS)
    this.#isLocal ??= LOCAL_FILE_SYSTEMS.has((await statfs(dirname(this.#paths[0]))).type)
    const still = this.#isLocal && seen === this.#seen && !young
    this.#seen = young ? null : seen
    return still
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
