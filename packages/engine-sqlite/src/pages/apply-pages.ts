import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Increment } from '@salvor/shared/ports/engine'
import { unusedRanges } from '../header.ts'
import { DigestsState } from './digests-state.ts'
import { hashPages } from './hash-pages.ts'
import { type PagesHead, PageStream } from './page-stream.ts'

/** Brings a restored full to the state of the last of these incrementals, oldest first. Gives its size in bytes. */
export async function applyIncrements(
  handle: FileHandle,
  increments: readonly Increment[],
  signal: AbortSignal,
): Promise<{ readonly size: number; readonly head: PagesHead } | null> {
  let head: PagesHead | null = null
  for (const increment of increments) {
    head = await increment.open(async (content) => {
      const stream: PageStream = new PageStream(increment.id, (first, pages) =>
        writeRun(handle.fd, stream.head!, first, pages),
      )
      for await (const chunk of content.chunks(signal)) stream.take(chunk)
      return stream.end()
    })
    await handle.truncate(head.page_size * head.page_count)
  }
  return head && { size: head.page_size * head.page_count, head }
}

/** Into the page cache, at once: a way through a thread for each of thousands of single pages takes many times as long. */
function writeRun(fd: number, { page_size }: PagesHead, first: number, pages: Buffer): void {
  const offset = (first - 1) * page_size
  for (let done = 0; done < pages.length;) {
    done += writeSync(fd, pages, done, pages.length - done, offset + done)
  }
}

/**
 * Compares a restored database with the source at that instant: every page, by the digest that was taken then. This is what
 * finds a page that an incremental should have brought and did not. RESTORE_FAILED.
 */
export async function assertState(
  fd: number,
  { page_size, page_count, digesting }: PagesHead,
  expected: string,
  about: { readonly source: string; readonly target: string },
  signal: AbortSignal,
): Promise<void> {
  const state = new DigestsState()
  const zeros = unusedRanges(page_size * page_count, page_size)
  if (digesting !== null) {
    const work = { ...digesting, fd, page_size, page_count, zeros, threads: 2, source: about.source }
    for await (const digests of hashPages(work)) {
      signal.throwIfAborted()
      state.add(digests)
    }
    if (state.hex() === expected) return
  }
  const reason = 'its pages are not those of the source at that instant'
  throw new SalvorError('RESTORE_FAILED', { target: about.target, reason })
}
