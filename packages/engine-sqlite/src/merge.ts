import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { Increment, MergedFacts } from '@salvor/shared/ports/engine'
import { unusedRanges } from './header.ts'
import { DigestsWriter } from './pages/digests-file.ts'
import { NewestPages } from './pages/newest-pages.ts'
import { pageDigester } from './pages/page-digester.ts'
import type { Site } from './site.ts'

/**
 * Pushes the state of the last incremental as a full: its pages over those of the old full, which streams by. The scratch folder
 * holds the pages of the incrementals, never the database. Compared with the source at that instant: ARTIFACT_CORRUPT.
 */
export async function mergeChain(
  site: Site,
  full: ArtifactContent,
  increments: readonly Increment[],
  sink: SnapshotSink,
  signal: AbortSignal,
): Promise<MergedFacts> {
  const { scratch_dir, source } = site.context
  const file = join(scratch_dir, 'newest.pages')
  const digests = join(scratch_dir, 'state.digests')
  try {
    using newest = new NewestPages(file, scratch_dir)
    for (const increment of increments.toReversed()) await newest.add(increment, signal)
    const { page_size, page_count, digesting } = newest.head
    const tip = increments.at(-1)!
    if (digesting) {
      using writer = new DigestsWriter(digests, { page_size, page_count, ...digesting })
      await pushMerged(site, full, newest, { sink, writer }, signal)
      const state_sha256 = writer.state()
      const { changed_pages: _, ...engine_facts } = tip.engine_facts
      if (state_sha256 === engine_facts['state_sha256']) return { engine_facts, digests }
    }
    const reason = 'the pages of its chain are not those of the source at that instant'
    throw new SalvorError('ARTIFACT_CORRUPT', { key: tip.id, reason, source })
  } finally {
    await rm(file, { force: true })
  }
}

/** Batches of whole pages, in order: what the full has there, then the newer pages on it. */
async function pushMerged(
  { context }: Site,
  full: ArtifactContent,
  newest: NewestPages,
  { sink, writer }: { readonly sink: SnapshotSink; readonly writer: DigestsWriter },
  signal: AbortSignal,
): Promise<void> {
  const { page_size, page_count } = newest.head
  const size = page_size * page_count
  const zeros = unusedRanges(size, page_size)
  const digester = pageDigester(writer.digesting, page_size)
  const batch = digester.piece
  const batchPages = batch.length / page_size
  await using base = new BaseReader(full, newest.reach * page_size, signal)
  for (let first = 1; first <= page_count; first += batchPages) {
    const count = Math.min(batchPages, page_count - first + 1)
    const pages = batch.subarray(0, count * page_size)
    const offset = (first - 1) * page_size
    await base.fill(pages)
    newest.overlay(pages, first, count)
    for (const range of zeros) {
      const from = range.offset - offset
      if (from >= 0 && from < pages.length) pages.fill(0, from, from + range.length)
    }
    writer.add(digester.digest(pages.length))
    await sink.write(pages)
    context.progress({ phase: 'merge', done_bytes: offset + pages.length, total_bytes: size })
  }
  await base.end()
}

/** The bytes of the full in order, as far as they count; zeros behind them. */
class BaseReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Uint8Array = new Uint8Array(0)
  #left: number

  constructor(full: ArtifactContent, counting: number, signal: AbortSignal) {
    this.#chunks = full.chunks(signal)[Symbol.asyncIterator]()
    this.#left = Math.min(counting, full.size)
  }

  async fill(into: Buffer): Promise<void> {
    let done = 0
    while (done < into.length && this.#left > 0) {
      if (this.#held.length === 0 && !(await this.#next())) break
      const piece = this.#held.subarray(0, Math.min(into.length - done, this.#left))
      into.set(piece, done)
      done += piece.length
      this.#left -= piece.length
      this.#held = this.#held.subarray(piece.length)
    }
    into.fill(0, done)
  }

  /** Reads on to the end: checksum and tags are judged there. */
  async end(): Promise<void> {
    while (await this.#next());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.()
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    this.#held = done === true ? new Uint8Array(0) : value
    return done !== true
  }
}
