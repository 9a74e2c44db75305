import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CompactedPages } from '@salvor/shared/ports/changes'
import type { EngineContext, Increment } from '@salvor/shared/ports/engine'
import { NewestPages } from '../pages/newest-pages.ts'
import { groupHead, headLine } from '../pages/page-stream.ts'

const RUN_BYTES = 1 << 20

/**
 * Several change sets as one, which brings what they bring one after another, whatever it is laid over: each page in its newest form, in a sparse file of
 * the scratch folder. Newest first, at least one. ARTIFACT_CORRUPT, DISK_FULL, and those of the STORE_ group.
 */
export async function compactSets(
  { scratch_dir }: EngineContext,
  sets: readonly Increment[],
  signal: AbortSignal,
): Promise<CompactedPages> {
  await using opened = new AsyncDisposableStack()
  const file = join(scratch_dir, 'compacted.pages')
  opened.defer(() => rm(file, { force: true }))
  const newest = opened.use(new NewestPages(file, scratch_dir))
  for (const set of sets) await newest.add(set, signal)
  newest.fillBehindReach()
  const { page_size, page_count } = newest.head
  const kept = opened.move()
  return {
    page_size,
    page_count,
    pages: newest.count,
    content: () => contentOf(newest),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** As docs/format.md section 12 has it. */
function* contentOf(newest: NewestPages): Generator<Uint8Array> {
  const { head } = newest
  yield headLine(head)
  for (const { first, count } of newest.runs(Math.max(1, Math.floor(RUN_BYTES / head.page_size)))) {
    const pages = Buffer.alloc(count * head.page_size)
    newest.overlay(pages, first, count)
    yield groupHead([{ first, count }])
    yield pages
  }
  yield Buffer.alloc(4)
}
