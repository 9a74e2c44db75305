import { walContentKeys } from '@salvor/repository/wal-layout'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { LostWal, WalProgress, WalSink } from '@salvor/shared/ports/wal'
import { parseWalName, type WalFile, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { storeWal } from './store-wal.ts'
import type { StreamHealth } from './stream-health.ts'

const CAUSE = { service: 'backup-worker' } as const

/** Puts what a stream receives into the first store of the rule, and each piece into the catalog before it counts as stored. */
export class StoreSink implements WalSink {
  readonly #deps: Deps
  readonly #source: SourceSettings
  readonly #store: string
  readonly #health: StreamHealth
  readonly #signal: AbortSignal
  /** Tails that are stored and not covered by their segment yet. */
  readonly #tails = new Set<string>()

  constructor(deps: Deps, source: SourceSettings, store: string, health: StreamHealth, signal: AbortSignal) {
    this.#deps = deps
    this.#source = source
    this.#store = store
    this.#health = health
    this.#signal = signal
  }

  async store(piece: WalPiece, content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const file = await storeWal(this.#deps, this.#source, this.#store, { piece, content }, this.#signal)
    this.#health.stored(file)
    if (file.kind === 'tail') this.#tails.add(file.name)
    // Beside the acknowledgement: a slow segment may have thousands.
    else if (file.kind === 'segment') void this.#dropTails(file)
  }

  async lost(gap: LostWal): Promise<void> {
    const { catalog, log } = this.#deps
    const { name: source, pool, config_hash } = this.#source
    const { system_id, ...ends } = gap
    log.error({ source, ...ends }, 'WAL is lost: a new full backup is taken')
    await catalog.transaction(CAUSE, async (tx) => {
      await tx.recordWalGap({ source, ...gap })
      await tx.publish({ type: 'wal-gap.detected', subject: source, data: { source, ...ends } })
      const wish = { source, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null } as const
      const unique_key = `after-gap/${source}/${system_id}/${gap.timeline}/${gap.from_lsn}/${gap.to_lsn}`
      await tx.enqueue({ job: 'take-backup', source, pool, config_hash, unique_key, params: wish })
    })
  }

  progress(progress: WalProgress): void {
    this.#health.progress(progress)
  }

  /** Tails that an earlier worker left behind. */
  async forgetOldTails(): Promise<void> {
    const { name: source } = this.#source
    const segments = new Map<string, boolean>()
    const tails: string[] = []
    for await (const { kind, name } of this.#deps.catalog.wal({ source, store: this.#store, kinds: ['tail'] }))
      if (kind === 'tail') tails.push(name)
    for (const tail of tails) {
      const segment = parseWalName(tail)!.segment!
      if (!segments.has(segment)) segments.set(segment, await this.#has(segment))
      if (segments.get(segment) === false) this.#tails.add(tail)
    }
    void this.#forget(tails.filter((tail) => !this.#tails.has(tail)))
  }

  async #has(segment: string): Promise<boolean> {
    const filter = { source: this.#source.name, store: this.#store, name: segment }
    for await (const { kind } of this.#deps.catalog.wal(filter)) if (kind === 'segment') return true
    return false
  }

  /** Once its segment is stored, a tail is worth nothing. */
  async #dropTails({ name: segment }: WalFile): Promise<void> {
    await this.#forget([...this.#tails].filter((tail) => parseWalName(tail)?.segment === segment))
  }

  /** Never rejects: what stays behind is small, and nobody reads it. */
  async #forget(tails: readonly string[]): Promise<void> {
    if (tails.length === 0) return
    const { catalog, log } = this.#deps
    const { name: source, encrypt } = this.#source
    for (const tail of tails) this.#tails.delete(tail)
    try {
      const store = this.#deps.store(this.#store)
      await catalog.transaction(CAUSE, (tx) => tx.forgetWal(source, this.#store, tails))
      for (const tail of tails)
        for (const key of walContentKeys(source, tail, encrypt)) await store.delete(key, this.#signal)
    } catch (error) {
      // A store may let this identity delete nothing.
      log.debug({ source, store: this.#store, error }, 'tails of stored segments stay in the store')
    }
  }
}
