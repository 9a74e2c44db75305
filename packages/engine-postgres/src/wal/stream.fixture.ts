import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { LostWal, WalProgress, WalResume, WalSink, WalStreamRequest } from '@salvor/shared/ports/wal'
import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { WalPiece } from '@salvor/shared/vocabulary/wal'
import { setTimeout as sleep } from 'node:timers/promises'
import { environmentOf } from '../engine.fixture.ts'
import type { WalEnvironment } from './environment.ts'
import { streamWal } from './stream.ts'

export function walEnvironment(url: string, folder: string, more: Partial<WalEnvironment> = {}): WalEnvironment {
  return {
    ...environmentOf(url, folder),
    slot: 'salvor_clinic',
    unboundedSlot: false,
    spoolBytes: 1e9,
    tailMs: 500,
    otherSlotsMs: 500,
    acknowledge: 'store',
    synchronous: false,
    ...more,
  }
}

/** A store and a catalog in memory: what was stored outlives the streams. */
export class MemorySink implements WalSink {
  readonly pieces = new Map<string, { readonly piece: WalPiece; readonly bytes: Buffer }>()
  readonly gaps: LostWal[] = []
  seen: WalProgress | null = null
  /** Throw to make the store fail. */
  before: (piece: WalPiece) => void | Promise<void> = () => undefined

  async store(piece: WalPiece, content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    await this.before(piece)
    const chunks: Buffer[] = []
    for await (const chunk of content()) chunks.push(Buffer.from(chunk))
    const bytes = Buffer.concat(chunks)
    const there = this.pieces.get(piece.name)
    if (there && !there.bytes.equals(bytes))
      throw new SalvorError('WAL_CONFLICT', {
        source: 'clinic',
        name: piece.name,
        store: 'memory',
        why: 'bytes differ',
      })
    if (!there) this.pieces.set(piece.name, { piece, bytes })
  }
  async lost(gap: LostWal): Promise<void> {
    this.gaps.push(gap)
  }
  progress(progress: WalProgress): void {
    this.seen = progress
  }

  /** Up to where the pieces of the newest timeline reach without a hole, from their last beginning. */
  get resume(): WalResume | null {
    const ranged = [...this.pieces.values()].map(({ piece }) => piece).filter(({ start_lsn }) => start_lsn !== null)
    const timeline = Math.max(0, ...ranged.map((piece) => piece.timeline))
    const own = ranged.filter((piece) => piece.timeline === timeline)
    const [first] = own
    if (!first) return null
    const ends = (piece: WalPiece): [bigint, bigint] => [lsnValue(piece.start_lsn!), lsnValue(piece.end_lsn!)]
    let end = 0n
    for (const [from, to] of own.map(ends).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (from > end || to > end) end = to > end ? to : end
    }
    return { timeline, lsn: lsnText(end), system_id: first.system_id! }
  }
  get segments(): WalPiece[] {
    return [...this.pieces.values()].map(({ piece }) => piece).filter(({ kind }) => kind === 'segment')
  }
}

export interface RunningStream extends AsyncDisposable {
  readonly ended: Promise<unknown>
  stop(): Promise<unknown>
}

export function startStream(
  env: WalEnvironment,
  sink: MemorySink,
  spool_dir: string,
  more: Partial<WalStreamRequest> = {},
): RunningStream {
  const abort = new AbortController()
  const request = { spool_dir, resume: sink.resume, ...more }
  const ended = streamWal(env, request, sink, abort.signal).catch((error: unknown) => error)
  const stop = (): Promise<unknown> => {
    abort.abort(new Error('stopped'))
    return ended
  }
  return { ended, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

export async function until<T>(
  what: string,
  look: () => Promise<T | null | false> | T | null | false,
  ms = 30_000,
): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const seen = await look()
    if (seen !== null && seen !== false) return seen
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await sleep(50)
  }
}
