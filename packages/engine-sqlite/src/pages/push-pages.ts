import { read } from 'node:fs'
import { promisify } from 'node:util'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { unusedRanges } from '../header.ts'
import type { Digesting } from './digesting.ts'
import type { PageSet } from './page-set.ts'
import { groupHead, headLine, type PageRun } from './page-stream.ts'
import type { StillFile } from './push-state.ts'

const readAt = promisify(read)
const RUN_BYTES = 1 << 20
/** Pages of a group at least, but for the last: who only wants to know which pages there are reads one frame in hundreds. */
const GROUP_PAGES = 65_536

/** Pushes these pages of a file as docs/format.md section 12 has them. */
export async function pushPages(file: StillFile, pages: PageSet, digesting: Digesting): Promise<void> {
  const { fd, page_size, page_count, sink, source } = file
  const zeros = unusedRanges(page_size * page_count, page_size)
  const longest = Math.max(1, Math.floor(RUN_BYTES / page_size))
  const buffer = Buffer.alloc(longest * page_size)
  await sink.write(headLine({ page_size, page_count, digesting }))
  for (const group of grouped(pages.runs(longest))) {
    await sink.write(groupHead(group))
    for (const { first, count } of group) {
      const offset = (first - 1) * page_size
      const bytes = buffer.subarray(0, count * page_size)
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await readAt(fd, bytes, done, bytes.length - done, offset + done)
        if (bytesRead === 0) throw new SalvorError('SOURCE_CHANGED', { source })
        done += bytesRead
      }
      for (const range of zeros) {
        const from = range.offset - offset
        if (from >= 0 && from < bytes.length) bytes.fill(0, from, from + range.length)
      }
      await sink.write(bytes)
    }
  }
  await sink.write(Buffer.alloc(4))
}

function* grouped(runs: Iterable<PageRun>): Generator<readonly PageRun[]> {
  let group: PageRun[] = []
  let pages = 0
  for (const run of runs) {
    group.push(run)
    pages += run.count
    if (pages < GROUP_PAGES) continue
    yield group
    group = []
    pages = 0
  }
  if (group.length > 0) yield group
}
