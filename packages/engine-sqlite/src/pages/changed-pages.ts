import { type DigestsReader, type DigestsWriter, kept, KEPT_BYTES } from './digests-file.ts'
import { PageSet } from './page-set.ts'

/** Compares a state with its parent, page by page in order, and writes down the digests of the new one. */
export async function changedPages(
  digests: AsyncIterable<Uint8Array>,
  before: DigestsReader,
  writer: DigestsWriter,
  pageCount: number,
): Promise<PageSet> {
  const changed = new PageSet(pageCount)
  let page = 1
  for await (const batch of digests) {
    writer.add(batch)
    const now = kept(batch, writer.digesting)
    const count = now.length / KEPT_BYTES
    const then = before.next(count)
    for (let i = 0; i < count; i += 1) {
      const [from, to] = [i * KEPT_BYTES, (i + 1) * KEPT_BYTES]
      // Pages behind the parent's end have no digest there.
      if (to > then.length || now.compare(then, from, to, from, to) !== 0) changed.add(page + i)
    }
    page += count
  }
  return changed
}
