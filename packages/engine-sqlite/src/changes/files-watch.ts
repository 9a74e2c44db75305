import { type BigIntStats, realpathSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { LOCAL_FILE_SYSTEMS } from '@salvor/shared/vocabulary/local-file-systems'
import type { FileIdentity } from '../child/messages.ts'

/** Coarser than the times of any file system: a later write shows, for it gets another time. */
const YOUNG_NS = 3_000_000_000n
/** While writes are known of, the files are looked at for their names alone. */
const NAME_MS = 1_000

/** What lies in the main file did not come through the log: a line of change sets cannot go on. */
export class WrittenAround extends Error {
  constructor() {
    super('the main file was written to by something else than SQLite')
  }
}

/** Whether a database and its log are as they were, by names and times alone: an idle database costs two looks a second. */
export class FilesWatch {
  readonly #source: string
  readonly #path: string
  /** The database, its log and the memory beside it, which SQLite has open and lets nobody else remove while it has. */
  readonly #files: readonly (FileIdentity | null)[]
  /** The times of its file system are those of the last write. Null: not asked yet. */
  #isLocal: boolean | null = null
  #seen: string | null = null
  #lookedAt = Number.NEGATIVE_INFINITY
  /** The main file, when it was looked at last and nobody had anything to write there. */
  #main: string | null = null
  /** The same, before the present look at the log. */
  #mainNow: string | null = null

  /** While SQLite has `file` open. */
  constructor(source: string, path: string, file: FileIdentity) {
    this.#source = source
    this.#path = path
    const beside = ['-wal', '-shm'].map((end) => statSync(path + end, { bigint: true, throwIfNoEntry: false }) ?? null)
    this.#files = [file, ...beside]
  }

  /** True: nothing was written since this was asked before. `nowMs`: wall clock, from before this call. `isWritten`: that is known already. SOURCE_CHANGED. */
  async isStill(nowMs: number, isWritten = false): Promise<boolean> {
    this.#mainNow = null
    if (isWritten && performance.now() - this.#lookedAt < NAME_MS) return false
    const now = BigInt(Math.floor(nowMs)) * 1_000_000n
    const looks = this.assertSame()
    this.#mainNow = writtenAt(looks[0])
    const seen = looks.map((file) => `${file?.size}:${file?.mtimeNs}:${file?.ctimeNs}`).join(' ')
    const young = looks.some((file) => file !== null && now - maxOf(file.mtimeNs, file.ctimeNs) < YOUNG_NS)
    this.#isLocal ??= LOCAL_FILE_SYSTEMS.has((await statfs(dirname(this.#path))).type)
    const still = this.#isLocal && seen === this.#seen && !young
    this.#seen = young ? null : seen
    return still
  }

  /**
   * After each look at the log. `quiet`: nothing was committed since the one before, and all of the log is in the main file, so that no checkpoint has anything
   * to write there. WrittenAround.
   */
  assertUntouched(quiet: boolean): void {
    if (!quiet) this.#main = null
    else if (this.#main === null) this.#main = writtenAt(this.assertSame()[0])
    else if (this.#mainNow !== null && this.#mainNow !== this.#main) throw new WrittenAround()
  }

  /**
   * SOURCE_CHANGED: a name belongs to another file now, or to none. Whoever opens the database by it then has another log, or none, and pages of ours that
   * were moved into the main file would spoil what was put there.
   */
  assertSame(): readonly (BigIntStats | null)[] {
    this.#lookedAt = performance.now()
    const path = this.#path
    const looks = ['', '-wal', '-shm'].map((end) => statOf(path + end))
    const isSame = looks.every((file, n) => {
      const before = this.#files[n]
      return !before || (file?.ino === before.ino && file.dev === before.dev)
    })
    // Moved, and a link left in its place: the same file, but whoever opens it by that link has its log elsewhere.
    if (!isSame || realpathOf(path) !== path) throw new SalvorError('SOURCE_CHANGED', { source: this.#source })
    return looks.slice(0, 2)
  }
}

function writtenAt(file: BigIntStats | null | undefined): string | null {
  return file ? `${file.size}:${file.mtimeNs}` : null
}

function realpathOf(path: string): string | null {
  try {
    return realpathSync.native(path)
  } catch {
    return null
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
