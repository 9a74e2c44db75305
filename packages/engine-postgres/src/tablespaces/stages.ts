import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rmdir, symlink, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FilesDiffer } from '../data-folder/compare.ts'
import { shown } from '../data-folder/member-name.ts'
import { STAGE } from '../data-folder/put-in-place.ts'
import { settle, syncFolder, type Owner } from '../data-folder/settle.ts'
import type { Placed } from './places.ts'

/** The one entry that a server makes in a tablespace: `PG_<major>_<catalog version>`. Other clusters may have theirs beside it. */
const VERSION_FOLDER = /^PG_\d+_\d{9}$/

/** Folders in the places of the tablespaces, on their own disks, that the data folder in the making has links to. */
export class TablespaceStages implements AsyncDisposable {
  readonly #dataFolder: string
  readonly #staged: Staged[] = []
  readonly #made: string[] = []
  #done = false

  private constructor(dataFolder: string) {
    this.#dataFolder = dataFolder
  }

  static async make(dataFolder: string, placed: readonly Placed[]): Promise<TablespaceStages> {
    const stages = new TablespaceStages(dataFolder)
    try {
      if (placed.length > 0) await mkdir(join(dataFolder, 'pg_tblspc'), 0o700)
      for (const one of placed) await stages.#add(one)
      return stages
    } catch (error) {
      await stages[Symbol.asyncDispose]()
      throw error
    }
  }

  async #add(one: Placed): Promise<void> {
    const first = await mkdir(one.place, { recursive: true, mode: 0o700 })
    if (first !== undefined) this.#made.push(...between(first, one.place))
    const path = await mkdtemp(join(one.place, STAGE))
    this.#staged.push({ ...one, path })
    await symlink(path, this.#link(one))
  }

  #link({ oid }: Placed): string {
    return join(this.#dataFolder, 'pg_tblspc', oid)
  }

  get staged(): readonly Staged[] {
    return this.#staged
  }

  /** Folders of the archive that are there already. */
  get folders(): string[] {
    return this.#staged.length === 0 ? [] : ['pg_tblspc', ...this.#staged.map(({ oid }) => `pg_tblspc/${oid}`)]
  }

  /** Makes what was unpacked durable, and turns the links to where it will be. */
  async finish(owner: Owner | null, signal: AbortSignal): Promise<void> {
    for (const one of this.#staged) {
      const [strange] = (await readdir(one.path)).filter((name) => !VERSION_FOLDER.test(name))
      if (strange !== undefined) throw new FilesDiffer(`${shown(strange)} does not belong into a tablespace`)
      await settle(one.path, owner, signal)
      await unlink(this.#link(one))
      await symlink(one.place, this.#link(one))
    }
    for (const folder of this.#made) await syncFolder(folder, owner)
  }

  /** Everything is in its place: nothing is taken away any more. */
  keep(): void {
    this.#done = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#done) return
    for (const { path } of this.#staged) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
    // Somebody may have put something into it meanwhile.
    for (const folder of this.#made.toSorted(deepestFirst)) await rmdir(folder).catch(() => undefined)
  }
}

export interface Staged extends Placed {
  /** A folder in `place` with the tablespace's contents. */
  readonly path: string
}

/** Folders from `first` down to `last`, the deepest first. */
export const between = (first: string, last: string): string[] =>
  last === first ? [first] : [last, ...between(first, dirname(last))]
const deepestFirst = (a: string, b: string): number => b.length - a.length
