import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseWalName } from '@salvor/shared/vocabulary/wal'

const READY = '.ready'

/** Files beside this one that the server will hand over next, the oldest first; none where it lies in no pg_wal. */
export async function readyBeside(file: string, name: string): Promise<readonly string[]> {
  const found = await readdir(join(dirname(file), 'archive_status')).catch((): string[] => [])
  const names = found.filter((one) => one.endsWith(READY)).map((one) => one.slice(0, -READY.length))
  return names.filter((one) => one !== name && parseWalName(one) !== null).toSorted()
}

/**
 * What was stored ahead of its own call: a file for each, with the SHA-256 of the bytes that are durable in the store and in the
 * catalog. One that is lost, torn or of other bytes costs another look at the store, and acknowledges nothing.
 */
export class Pushed {
  readonly #folder: string

  /** `folder`: of one source and one store, and of nobody else. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Notes that these bytes of a file are stored. */
  async add(name: string, sha256: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const file = join(this.#folder, name)
    const temporary = `${file}.${process.pid}`
    await writeFile(temporary, `${sha256}\n`, { mode: 0o600 })
    await rename(temporary, file)
  }

  /** True: exactly these bytes are stored. Each note serves once. */
  async take(name: string, file: string): Promise<boolean> {
    const note = join(this.#folder, name)
    const noted = await readFile(note, 'latin1').catch(() => null)
    if (noted === null) return false
    const same = noted === `${await sha256Of(file)}\n`
    await rm(note, { force: true })
    return same
  }

  /** Forgets what the server will not ask for. */
  async keepOnly(names: readonly string[]): Promise<void> {
    const wanted = new Set(names)
    for (const name of await readdir(this.#folder).catch((): string[] => []))
      if (!wanted.has(name)) await rm(join(this.#folder, name), { force: true })
  }
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
