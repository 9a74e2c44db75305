import { join } from 'node:path'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { EngineContext, Increment } from '@salvor/shared/ports/engine'
import { NewestPages } from '../pages/newest-pages.ts'
import type { PageTable } from './page-table.ts'

/** No page reaches over the end of such a frame. */
const FRAME_BYTES = 65_536

export interface LaidChanges extends Disposable {
  readonly frames: ArtifactFrames
  readonly table: PageTable
}

/**
 * Change sets as one artifact, in a sparse file of the scratch folder: thousands of them take the room of the pages that differ, and are looked through
 * as one. Newest first, at least one. ARTIFACT_CORRUPT, DISK_FULL, and those of the STORE_ group.
 */
export async function layChanges(
  { scratch_dir }: EngineContext,
  changes: readonly Increment[],
  signal: AbortSignal,
): Promise<LaidChanges> {
  using opened = new DisposableStack()
  const newest = opened.use(new NewestPages(join(scratch_dir, 'changes.pages'), scratch_dir))
  for (const change of changes) await newest.add(change, signal)
  const { page_size, page_count } = newest.head
  const frames: ArtifactFrames = {
    id: changes[0]!.id,
    size: page_size * page_count,
    frame_bytes: FRAME_BYTES,
    frame: async (n, into) => newest.readFile(into.subarray(0, FRAME_BYTES), n * FRAME_BYTES),
  }
  const table = tableOf(newest)
  const kept = opened.move()
  return { frames, table, [Symbol.dispose]: () => kept.dispose() }
}

function tableOf(newest: NewestPages): PageTable {
  const { page_size, page_count } = newest.head
  const numbers = new Uint32Array(newest.count)
  const groups: number[] = []
  const offsets: number[] = []
  let at = 0
  for (const { first, count } of newest.runs()) {
    groups.push(at)
    offsets.push((first - 1) * page_size)
    for (let page = first; page < first + count; page += 1) numbers[at++] = page
  }
  const reach = Math.min(newest.reach, page_count)
  return {
    page_size,
    page_count,
    reach,
    numbers,
    groups: Uint32Array.from(groups),
    offsets: Float64Array.from(offsets),
  }
}
