import { type BigIntStats, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LOCAL_FILE_SYSTEMS } from '@salvor/shared/vocabulary/local-file-systems'
import type { FileIdentity } from '../child/messages.ts'

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
    const looks = this.#paths.map(statOf)
    const [main] = looks
    this.isReplaced = main?.ino !== this.#file.ino || main.dev !== this.#file.dev
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

/** Answered from the kernel's memory: the files are in use. */
function statOf(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true })
  } catch {
    return null
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
