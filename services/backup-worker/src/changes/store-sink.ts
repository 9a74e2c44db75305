import { possibleParents } from '@salvor/policy/chain'
import { SPANS_MS, spanStart } from '@salvor/policy/compaction'
import { writeChanges, type ChangesRequest } from '@salvor/repository/write-changes'
import { fetchBase } from '@salvor/runtime/fetch-base'
import { VERSION } from '@salvor/runtime/version'
import type { ChangeProgress, ChangeSink } from '@salvor/shared/ports/changes'
import type { CatalogTransaction } from '@salvor/shared/ports/catalog'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import { type ChangePiece, type ChangeSetFile, stateOf } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import type { ChangeHealth } from './change-health.ts'

const CAUSE = { service: 'backup-worker' } as const
/** Behind a backup whose digests cannot be had an older one may serve. */
const BASES_TRIED = 3
const BACKUPS_LOOKED_AT = 50
/** How often sets that come every second are compacted; others every hour. */
const OFTEN_MS = 600_000
/** Behind the end of a span: its last set is stored by then. */
const SETTLES_MS = 150_000

export interface Place {
  readonly store: string
  /** A folder of this stream alone. */
  readonly folder: string
  /** The newest set that is stored. */
  readonly last: ChangeSetFile | null
  readonly health: ChangeHealth
  readonly signal: AbortSignal
}

interface Span {
  readonly ms: number
  readonly begin: Instant
}

/** Puts change sets into the first store of the rule, and each into the catalog before it counts as stored. */
export class ChangeStoreSink implements ChangeSink {
  readonly #deps: Deps
  readonly #source: SourceSettings
  readonly #place: Place
  #last: string | null
  /** The span for which a compaction is planned. */
  #planned: Instant | null = null
  #base: ParentBackup | null = null
  readonly #unfinished: NonNullable<ChangesRequest['unfinished']> = new Map()

  constructor(deps: Deps, source: SourceSettings, place: Place) {
    this.#deps = deps
    this.#source = source
    this.#place = place
    this.#last = place.last && stateOf(place.last)
  }

  async base(): Promise<ParentBackup | null> {
    const backups = await this.#deps.catalog.backups({ source: this.#source.name, limit: BACKUPS_LOOKED_AT })
    for (const backup of possibleParents(backups).slice(0, BASES_TRIED)) {
      if (this.#base?.id === backup.id) return this.#base
      this.#base = null
      const { folder, signal } = this.#place
      const base = await fetchBase(this.#deps, backup, folder, signal)
      if (base !== null) return (this.#base = base)
    }
    return null
  }

  async store(
    piece: Omit<ChangePiece, 'previous'>,
    content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const { catalog, clock, ids, keyring } = this.#deps
    const { name: source, encrypt, plain_allowed = false } = this.#source
    const { store, health, signal } = this.#place
    const rules = { keyring, encrypt, allowPlain: plain_allowed, level: 1, source }
    const written = { store: this.#deps.store(store), id: ids.next(), timestamp: clock.now(), tool_version: VERSION }
    const set = { piece: { ...piece, previous: this.#last }, content, unfinished: this.#unfinished }
    const file = await writeChanges({ ...rules, ...written, ...set }, signal)
    signal.throwIfAborted()
    const { base, name, to_at, size_bytes, document_sha256 } = file
    const span = this.#spanAt(to_at)
    await catalog.transaction(CAUSE, async (tx) => {
      await tx.recordChangeSet(file, store)
      const data = { source, store, base, name, to_at, size_bytes }
      await tx.publish({ type: 'change-set.stored', subject: source, data })
      await this.#planCompaction(tx, span)
    })
    this.#planned = span.begin
    if (piece.lost !== null) this.#deps.log.warn({ source, reason: piece.lost, to_at }, 'instants before it are lost')
    this.#last = document_sha256
    health.storedLast(document_sha256)
  }

  #spanAt(at: Instant): Span {
    const ms = (this.#source.changes ?? 0) < SPANS_MS.minute / 2 ? OFTEN_MS : SPANS_MS.hour
    return { ms, begin: spanStart(at, ms) }
  }

  /** Once in a while, while there is something to compact. */
  async #planCompaction(tx: CatalogTransaction, span: Span): Promise<void> {
    const { name: source, pool } = this.#source
    if (this.#planned === span.begin) return
    const params = { source, whole: false }
    const unique_key = `compact/${source}/${span.begin}`
    const not_before = shifted(span.begin, span.ms + SETTLES_MS)
    await tx.enqueue({ job: 'compact-changes', source, pool, unique_key, not_before, params })
  }

  async fullNeeded(reason: string): Promise<void> {
    const { catalog, log } = this.#deps
    const { name: source, pool, config_hash } = this.#source
    log.warn({ source, reason }, 'the change stream waits for a new full backup')
    const params = { source, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null } as const
    const [before] = await catalog.runs({ jobs: ['take-backup'], source, limit: 1 })
    const unique_key = `changes/${source}/${before?.id ?? 'none'}`
    await catalog.transaction(CAUSE, async (tx) => {
      await tx.enqueue({ job: 'take-backup', source, pool, config_hash, unique_key, params })
    })
  }

  progress(progress: ChangeProgress): void {
    this.#place.health.progress(progress)
  }
}
