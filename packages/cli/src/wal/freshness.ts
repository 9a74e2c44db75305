import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '@salvor/runtime/config/load-config'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { markOf } from './same-file.ts'

/** Files that the configuration names (addresses, passwords) are looked into so often. */
const LOADED_EVERY_MS = 5_000
const CATALOG = 'catalog.db'

/** Whether a process that lives on still has the configuration, and the catalog, that a new one would open. */
export class Freshness {
  readonly #runtime: Runtime
  #marks: string | null = null
  #loadedAt = Number.NEGATIVE_INFINITY

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Never rejects. */
  async isFresh(): Promise<boolean> {
    try {
      const { file, hash } = this.#runtime.config()
      const marks = await this.#look()
      this.#marks ??= marks
      if (marks !== this.#marks) return false
      if (performance.now() - this.#loadedAt < LOADED_EVERY_MS) return true
      const loaded = await loadConfig(file, process.env)
      this.#loadedAt = performance.now()
      return loaded.hash === hash
    } catch {
      return false
    }
  }

  async #look(): Promise<string> {
    const { file, keyring_file, catalog_url, settings } = this.#runtime.config()
    const contents = [file, ...(keyring_file === null ? [] : [keyring_file])]
    // A catalog that was removed would still take what is written to it.
    const places = [settings.data_dir, ...(catalog_url === null ? [join(settings.data_dir, CATALOG)] : [])]
    const seen = await Promise.all([
      ...contents.map(async (each) => (await markOf(each)).mark),
      ...places.map(async (each) => {
        const { dev, ino } = await stat(each)
        return `${dev}/${ino}`
      }),
    ])
    return seen.join('\n')
  }
}
