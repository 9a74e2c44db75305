import type { Channel } from '@salvor/shared/ports/channel'
import type { Engine, EngineContext, SetUpStep } from '@salvor/shared/ports/engine'
import type { Settings } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'

/** A configuration file that was read, checked and resolved: what a process needs, secrets included. Never log it whole. */
export interface LoadedConfig {
  /** Absolute path of the file. */
  readonly file: string
  /** The file as it was read: a task process works by these bytes, not by an edit that nobody has reloaded. */
  readonly text: string
  /** Environment variables that the file names. */
  readonly variables: readonly string[]
  readonly settings: Settings
  /** Null: the embedded catalog in data_dir. */
  readonly catalog_url: string | null
  /** Null: no Redis was named. */
  readonly redis_url: string | null
  readonly keyring_file: string | null
  readonly sandbox_dir: string
  /** Folders where server programs are looked for first. */
  readonly server_programs: readonly string[]
  /** Pools whose sources this worker sees, besides the sources without a pool. */
  readonly pools: readonly string[]
  /** Compression threads of one run. */
  readonly threads: number
  readonly http_port: number | null
  /** Every secret value, and the parts of it that turn up alone in error texts: for redaction. */
  readonly secrets: readonly string[]
  /** Over the whole file and its secrets: two loads with one hash do the same. */
  readonly hash: string
  /** STORE_UNKNOWN for a name that is not in the file. */
  openStore(name: string): Promise<Store>
  /** SOURCE_UNKNOWN for a name that is not in the file. */
  openEngine(source: string, context: EngineContext): Promise<Engine>
  /** Those that a snapshot of the source opens in the process that asks for it. Throws SOURCE_UNKNOWN. */
  filesOpenedFor(source: string): readonly string[]
  /** What the administrator of a source does once. Throws SOURCE_UNKNOWN. */
  setUp(source: string): readonly SetUpStep[]
  /** An engine that restores and proves only: for a source that the file no longer names, or names with another engine. */
  openEngineForRestore(kind: string, context: EngineContext): Promise<Engine>
  /** `install` names this installation in dedup keys: the catalog's id. */
  openChannel(name: string, install: string): Promise<Channel>
}

/** Variables of the environment, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>
