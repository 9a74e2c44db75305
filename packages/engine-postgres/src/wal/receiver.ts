import type { WalSink } from '@salvor/shared/ports/wal'
import { shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { segmentAt, type WalContents, type WalPiece } from '@salvor/shared/vocabulary/wal'
import type { Link } from '../protocol/link.ts'
import { LinkLost } from '../protocol/server-error.ts'
import { Contents } from './contents.ts'
import type { WalEnvironment } from './environment.ts'
import type { WalTaker } from './exchange.ts'
import { standbyStatus, type Keepalive, type WalHeader } from './messages.ts'
import { WalRecords } from './records.ts'
import type { WalSpool } from './spool.ts'
import { Storing } from './storing.ts'
import { Tails } from './tails.ts'

const LOOK_EVERY_MS = 1000
/** A commit takes its time before its record is written out: this much of the server's clock is not vouched for. */
const COMMIT_UNDER_WAY_MS = 1000

/** What is on its way to a store when a stream ends may arrive within this time. */
const ARRIVAL_MS = 10_000

export interface Stretch {
  readonly systemId: string
  readonly timeline: number
  /** A segment's first byte. */
  readonly start: bigint
  /** All before it is stored; not below `start`. */
  readonly stored: bigint
  /** Where the WAL without a hole began. */
  readonly began: bigint
  /** The catalog knows the stream: what lies in the spool is found by whoever comes next. */
  readonly known: boolean
  /** A standby knows what it has replayed, not what its primary has committed. */
  readonly standby: boolean
}

export interface ReceiverParts {
  readonly env: WalEnvironment
  readonly link: Link
  readonly spool: WalSpool
  readonly sink: WalSink
  readonly stretch: Stretch
  /** Ends this stretch. */
  readonly signal: AbortSignal
  /** Ends everything. */
  readonly all: AbortSignal
}

/** WAL of one timeline on its way from the server through the spool into the store, and what is told of it to the server. */
export class WalReceiver implements WalTaker, AsyncDisposable {
  position: bigint
  readonly storing: Storing
  readonly #parts: ReceiverParts
  #stored: bigint
  #synced: bigint
  #known: boolean
  #serverEnd: bigint
  #segment: Contents = new Contents()
  readonly #tails: Tails
  #tailedAt = performance.now()
  /** Where the bytes end that are looked through. */
  #seen: bigint
  #syncing: Promise<void> | null = null
  #quiet: { readonly at: Instant; readonly position: bigint } | null = null
  #currentAt: Instant | null = null
  #room: (() => void) | null = null
  readonly #records: WalRecords
  readonly #timer: NodeJS.Timeout
  readonly #cut: AbortController
  readonly #storeSignal: AbortSignal
  readonly #fail: (error: unknown) => void
  readonly failed: Promise<never>

  constructor(parts: ReceiverParts) {
    const { stretch, spool, signal } = parts
    this.#parts = parts
    this.position = stretch.start
    this.#stored = stretch.stored
    this.#synced = stretch.start
    this.#known = stretch.known
    this.#serverEnd = stretch.stored
    this.#seen = stretch.start
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined)
    this.#fail = reject
    this.storing = new Storing(signal, (end) => this.#advance(end))
    this.#cut = new AbortController()
    this.#storeSignal = AbortSignal.any([parts.all, this.#cut.signal])
    this.#tails = new Tails({
      timeline: stretch.timeline,
      spool,
      from: stretch.stored,
      facts: (from, to) => this.#facts(from, to),
      store: (piece, content) => parts.sink.store(piece, content, this.#storeSignal),
      stored: (to) => this.#advance(to),
      failed: (error) => this.#fail(error),
    })
    this.failed = Promise.race([promise, this.storing.failed])
    this.failed.catch(() => undefined)
    this.#records = new WalRecords(stretch.start, spool.segmentSize, {
      commit: (at, position) => this.#each((contents) => contents.commit(at, position)),
      restorePoint: (name, at, position) => this.#each((contents) => contents.restorePoint(name, at, position)),
    })
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS)
  }

  #each(act: (contents: Contents) => void): void {
    act(this.#segment)
    this.#tails.note(this.#seen, act)
  }

  heard({ serverEnd, sentAt }: WalHeader, bytes: number): void {
    this.#serverEnd = serverEnd
    this.#currentAt = null
    const end = this.position + BigInt(bytes)
    this.#quiet = null
    if (end === serverEnd) this.#quiet = { at: sentAt, position: end }
  }

  /** A server that answers twice, and sent nothing in between, had nothing more at the time of the first answer. */
  alive({ serverEnd, sentAt, replyRequested }: Keepalive): void {
    if (serverEnd > this.#serverEnd) this.#serverEnd = serverEnd
    const quiet = this.#quiet
    const isLevel = quiet !== null && quiet.position === this.position && serverEnd <= this.position
    if (isLevel && !this.#parts.stretch.standby) this.#currentAt = shifted(quiet.at, -COMMIT_UNDER_WAY_MS)
    this.#quiet = { at: sentAt, position: this.position }
    if (replyRequested) this.#status(false)
  }

  async take(bytes: Uint8Array): Promise<void> {
    const { spool, env } = this.#parts
    for (let rest = bytes; rest.length > 0;) {
      const limit = Math.max(env.spoolBytes, 2 * spool.segmentSize)
      while (spool.bytes + rest.length > limit) await this.#untilRoom()
      const part = rest.subarray(0, spool.left)
      await spool.write(part)
      this.#seen = this.position + BigInt(part.length)
      this.#records.push(part)
      this.position = this.#seen
      rest = rest.subarray(part.length)
      if (spool.left === 0) await this.#endSegment()
    }
    if (env.acknowledge === 'spool') this.#sync()
    else if (env.synchronous) this.#hurry()
  }

  /** A commit waits for these bytes. What waits for a store that fails is looked after every second. */
  #hurry(): void {
    const { env, signal } = this.#parts
    if (!env.synchronous || this.#tails.trouble !== null || signal.aborted) return
    if (!this.#tails.busy && this.storing.idle) this.#tails.start(this.position)
  }

  get #full(): boolean {
    return this.#room !== null
  }

  async #untilRoom(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#room = resolve
    this.#report()
    await Promise.race([promise, this.failed])
    this.#room = null
  }

  async #endSegment(): Promise<void> {
    const { spool, stretch } = this.#parts
    const { start } = spool
    await spool.finish()
    this.#synced = this.position
    const contents = this.#segment.summary()
    this.#segment = new Contents()
    this.#tails.segmentEnded(this.position)
    this.addSegment(start, contents)
    await spool.begin(stretch.timeline, this.position)
  }

  /** A whole segment of the spool goes to the store. */
  addSegment(start: bigint, contents: WalContents): void {
    const { spool, sink, stretch } = this.#parts
    const { timeline } = stretch
    const end = start + BigInt(spool.segmentSize)
    const piece: WalPiece = {
      ...this.#facts(start, end),
      ...contents,
      kind: 'segment',
      name: segmentAt(timeline, start, spool.segmentSize),
      current_at: null,
    }
    this.storing.add({
      end,
      store: () => sink.store(piece, () => spool.read(timeline, start, end), this.#storeSignal),
      // Not before all before it is stored: after a crash a stream goes on from there, by what lies here.
      drop: () => spool.remove(timeline, start),
    })
  }

  #facts(start: bigint, end: bigint) {
    const { systemId: system_id, timeline } = this.#parts.stretch
    const segment_size = this.#parts.spool.segmentSize
    return { system_id, timeline, segment_size, start_lsn: lsnText(start), end_lsn: lsnText(end) }
  }

  #look(): void {
    const { env, signal } = this.#parts
    if (signal.aborted) return
    this.#status(true)
    const now = performance.now()
    const isDue = !this.#known || now - this.#tailedAt >= this.#tails.pauseMs(env.tailMs, LOOK_EVERY_MS)
    if (!this.#tails.busy && this.storing.idle && isDue) {
      this.#tailedAt = now
      this.#tails.start(this.position)
    }
    this.#report()
  }

  #sync(): void {
    this.#syncing ??= this.#syncAll().finally(() => (this.#syncing = null))
  }

  async #syncAll(): Promise<void> {
    try {
      while (this.#synced < this.position && !this.#parts.signal.aborted) {
        const reached = this.position
        await this.#parts.spool.sync()
        this.#synced = reached > this.#synced ? reached : this.#synced
        this.#status(false)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #advance(end: bigint): void {
    if (end > this.#stored) this.#stored = end
    this.#known = true
    this.#room?.()
    this.#status(false)
    // Once the one that has just been stored is done with.
    if (this.#parts.env.acknowledge === 'store') setImmediate(() => this.#hurry())
  }

  get #flushed(): bigint {
    const { env } = this.#parts
    const bySpool = env.acknowledge === 'spool' && this.#known && this.#synced > this.#stored
    const durable = bySpool ? this.#synced : this.#stored
    return durable < this.position ? durable : this.position
  }

  #status(askReply: boolean): void {
    this.#parts.link.sendCopy(standbyStatus(this.position, this.#flushed, askReply))
  }

  #report(): void {
    const { sink, stretch, spool } = this.#parts
    sink.progress({
      system_id: stretch.systemId,
      timeline: stretch.timeline,
      start_lsn: lsnText(stretch.began),
      received_lsn: lsnText(this.position),
      stored_lsn: lsnText(this.#stored),
      server_lsn: lsnText(this.#serverEnd > this.position ? this.#serverEnd : this.position),
      current_at: this.#stored >= this.position ? this.#currentAt : null,
      spool_bytes: spool.bytes,
      full: this.#full,
      trouble: this.storing.trouble ?? this.#tails.trouble,
    })
  }

  /** Everything that came is stored. */
  async drain(): Promise<void> {
    const { signal } = this.#parts
    let failure = null as { readonly error: unknown } | null
    this.failed.catch((error: unknown) => (failure = { error }))
    while (!this.storing.idle || this.#tails.busy) {
      signal.throwIfAborted()
      if (failure !== null) throw failure.error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await this.#tails.flush(this.position)
  }

  /** Waits for what is under way, so that a later stream finds nobody in its spool. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const cut = setTimeout(() => this.#cut.abort(new LinkLost('the stream ended')), ARRIVAL_MS)
    await Promise.all([this.storing.ended(), this.#tails.ended(), this.#syncing])
    clearTimeout(cut)
  }
}
