import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { AlikeBytes, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import { unusedRanges } from '../header.ts'
import { changedPages } from './changed-pages.ts'
import { type Digesting, SALT_BYTES } from './digesting.ts'
import { DigestsReader, DigestsWriter, KEPT_BYTES } from './digests-file.ts'
import { hashPages } from './hash-pages.ts'
import { pushPages } from './push-pages.ts'

/** A database file that stands still, or nobody writes to, and where its bytes go. */
export interface StillFile {
  readonly fd: number
  readonly page_size: number
  readonly page_count: number
  readonly source: string
  readonly scratch_dir: string
  readonly sink: SnapshotSink
}

/** What was pushed, and what the next incremental needs to know of it. */
export interface PushedState {
  /** Null: nothing had changed, and nothing was pushed. */
  readonly digests: string | null
  readonly facts: Readonly<Record<string, string | number>>
  /** Absent: it is no incremental. */
  readonly digests_alike?: NonNullable<SnapshotFacts['digests_alike']>
}

/** Every page, and the digests of all. */
export async function pushWhole(file: StillFile): Promise<PushedState> {
  const { fd, page_size, page_count, sink, scratch_dir } = file
  const digests = join(scratch_dir, 'state.digests')
  const salt = randomBytes(SALT_BYTES)
  using writer = new DigestsWriter(digests, { page_size, page_count, algorithm: 'nh128', salt })
  const size = page_size * page_count
  const zeros = unusedRanges(size, page_size)
  if (sink.writePages && size > 0) {
    await sink.writePages(fd, size, zeros, { page_size, salt, take: (some) => writer.add(some) })
    return { digests, facts: { state_sha256: writer.state() } }
  }
  const hashed = digestAll(file, writer, 1)
  // Neither may touch the file any more when this ends.
  const ended = await Promise.allSettled([size > 0 ? sink.writeFile(fd, size, zeros) : undefined, hashed])
  for (const one of ended) if (one.status === 'rejected') throw one.reason
  return { digests, facts: { state_sha256: writer.state() } }
}

/** The pages that differ from the parent's. FULL_NEEDED where that would be most of them, or cannot be told. */
export async function pushChanges(
  file: StillFile,
  parent: ParentBackup,
  options: { readonly skipUnchanged: boolean },
): Promise<PushedState> {
  const { page_size, page_count, scratch_dir } = file
  using before = openParent(parent, file)
  const { algorithm, salt } = before.head
  const digests = join(scratch_dir, 'state.digests')
  using writer = new DigestsWriter(digests, { page_size, page_count, algorithm, salt })
  const changed = await changedPages(hashed(file, writer.digesting, threadsFor(2)), before, writer, page_count)
  if (changed.count === 0 && before.head.page_count === page_count && options.skipUnchanged) {
    return { digests: null, facts: {} }
  }
  assertFew(changed.count, file, parent)
  await pushPages(file, changed, writer.digesting)
  const facts = { state_sha256: writer.state(), changed_pages: changed.count }
  const [own, base] = [writer.head_bytes, before.head_bytes]
  const alike: AlikeBytes[] = [
    { own: 0, base: 0, length: Math.min(own, base) },
    { own, base, length: KEPT_BYTES * Math.min(page_count, before.head.page_count) },
  ]
  return { digests, facts, digests_alike: () => alike }
}

/** From here on a full is not much larger, and restores faster. A VACUUM moves nearly every page. */
const MOST_CHANGED = 0.6
/** Of a small database everything may change. */
const FEW_PAGES = 256

function assertFew(count: number, { page_count, source }: StillFile, parent: ParentBackup): void {
  if (count <= FEW_PAGES || count <= MOST_CHANGED * page_count) return
  const percent = Math.round((100 * count) / page_count)
  const reason = `${percent} % of the pages changed (as a VACUUM does)`
  throw new SalvorError('FULL_NEEDED', { source, parent: parent.id, reason })
}

function openParent(parent: ParentBackup, { source, page_size }: StillFile): DigestsReader {
  const needed = (reason: string, cause?: unknown) =>
    new SalvorError('FULL_NEEDED', { source, parent: parent.id, reason }, cause)
  let reader: DigestsReader
  try {
    reader = new DigestsReader(parent.digests)
  } catch (error) {
    throw needed('its page digests cannot be read', error)
  }
  if (reader.head.page_size === page_size) return reader
  reader[Symbol.dispose]()
  throw needed(`the page size changed from ${reader.head.page_size} to ${page_size}`)
}

async function digestAll(file: StillFile, writer: DigestsWriter, threads: number): Promise<void> {
  for await (const digests of hashed(file, writer.digesting, threads)) writer.add(digests)
}

function hashed({ fd, page_size, page_count, source }: StillFile, digesting: Digesting, threads: number) {
  const zeros = unusedRanges(page_size * page_count, page_size)
  return hashPages({ ...digesting, fd, page_size, page_count, zeros, threads, source })
}

function threadsFor(most: number): number {
  return Math.min(most, availableParallelism())
}
