import { supersededTails } from '@salvor/policy/superseded-tails'
import { walDocumentKey, walPiecePrefix } from '@salvor/repository/wal-layout'
import type { UnfinishedWal } from '@salvor/repository/write-wal'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { LostWal, WalProgress, WalSink } from '@salvor/shared/ports/wal'
import { parseWalName, type StoredWal, type WalFile, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { storeWal, type WalContent } from './store-wal.ts'
import type { StreamHealth } from './stream-health.ts'

const CAUSE = { service: 'backup-worker' } as const
/** A restore that was planned a moment ago may still want to read a tail that a longer piece covers by now. */
const STAYS_MS = 120_000

/** Puts what a stream receives into the first store of the rule, and each piece into the catalog before it counts as stored. */
export class StoreSink implements WalSink {
  readonly #deps: Deps
  readonly #source: SourceSettings
  readonly #store: string
  readonly #health: StreamHealth
  readonly #signal: AbortSignal
  /** Tails that are stored, and that no longer piece covers yet. */
  readonly #tails = new Map<string, StoredWal>()
  readonly #due: { readonly at: number; readonly tails: readonly string[] }[] = []
  #deleting: Promise<void> | null = null
  readonly #unfinished: UnfinishedWal = new Map()

  constructor(deps: Deps, source: SourceSettings, store: string, health: StreamHealth, signal: AbortSignal) {
    this.#deps = deps
    this.#source = source
    this.#store = store
    this.#health = health
    this.#signal = signal
  }

  async store(piece: WalPiece, content: WalContent['content'], signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([this.#signal, signal])
    // A tail is tried again under another name: nothing of the first try is of use.
    const wal = piece.kind === 'tail' ? { piece, content } : { piece, content, unfinished: this.#unfinished }
    const file = await storeWal(this.#deps, this.#source, this.#store, wal, both)
    this.#health.stored(file)
    this.#supersede(file)
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
    this.#deleteDue()
  }

  /** Tails that an earlier worker left behind. */
  async forgetOldTails(): Promise<void> {
    const filter = { source: this.#source.name, store: this.#store, kinds: ['segment', 'tail'] } as const
    // Only where a tail is among them: of a source with a year of segments, few have any.
    for await (const piece of this.#deps.catalog.wal({ ...filter, kinds: ['tail'] })) this.#tails.set(piece.name, piece)
    const segments = new Map<string, StoredWal>()
    for (const name of new Set([...this.#tails.keys()].map((tail) => parseWalName(tail)!.segment!)))
      for await (const piece of this.#deps.catalog.wal({ ...filter, name })) segments.set(name, piece)
    this.#forget(supersededTails([...this.#tails.values(), ...segments.values()]))
  }

  #supersede(file: WalFile): void {
    const piece = { ...file, store: this.#store }
    this.#forget(supersededTails([...this.#tails.values(), piece]))
    if (file.kind === 'tail') this.#tails.set(file.name, piece)
  }

  #forget(tails: readonly StoredWal[]): void {
    if (tails.length === 0) return
    for (const { name } of tails) this.#tails.delete(name)
    this.#due.push({ at: this.#deps.clock.monotonicMs() + STAYS_MS, tails: tails.map(({ name }) => name) })
  }

  #deleteDue(): void {
    const now = this.#deps.clock.monotonicMs()
    if (this.#deleting !== null || !this.#due.some(({ at }) => at <= now)) return
    const { tails } = this.#due.shift()!
    this.#deleting = this.#delete(tails).finally(() => (this.#deleting = null))
  }

  /** Resolves when nothing is deleted any more. What was not yet is found by the next stream. */
  async ended(): Promise<void> {
    await this.#deleting
  }

  /** Never rejects: what stays behind is small, and nobody reads it. */
  async #delete(tails: readonly string[]): Promise<void> {
    const { catalog, log } = this.#deps
    const { name: source } = this.#source
    try {
      const store = this.#deps.store(this.#store)
      await catalog.transaction(CAUSE, (tx) => tx.forgetWal(source, this.#store, tails))
      for (const tail of tails) {
        // The document goes first: without it there is no such piece.
        const document = walDocumentKey(source, tail)
        await store.delete(document, this.#signal)
        for await (const { key } of store.list(walPiecePrefix(source, tail), this.#signal))
          await store.delete(key, this.#signal)
      }
    } catch (error) {
      // A store may let this identity delete nothing, or lock what it holds.
      log.debug({ source, store: this.#store, error }, 'tails that longer pieces cover stay in the store')
    }
  }
}
