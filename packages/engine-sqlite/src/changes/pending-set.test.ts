import { randomBytes, randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { expect, test } from 'vitest'
import { PendingSet } from './pending-set.ts'

const PAGE = 4096

async function bytesOf(set: PendingSet): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of set.content()) chunks.push(Uint8Array.from(chunk))
  return Buffer.concat(chunks)
}

test.each([
  ['a few pages stay in memory', 100, false],
  ['many pages go to a file', 2_000, true],
])('%s, each in its newest form, and those behind the end are left out', async (_, count, spooled) => {
  using bench = openBench()
  await using set = new PendingSet(bench.path('set.pages'), bench.folder, PAGE)
  const newest = new Map<number, Buffer>()
  const add = (page: number): void => {
    const image = randomBytes(PAGE)
    set.add(page, image)
    newest.set(page, image)
  }
  for (let i = 0; i < count; i += 1) add(1 + randomInt(3 * count))
  // Again, so that both what is in memory and what is in the file is replaced.
  for (const page of [...newest.keys()].slice(0, 50)) add(page)
  set.page_count = 2 * count
  const kept = [...newest].filter(([page]) => page <= set.page_count)
  expect([readdirSync(bench.folder).includes('set.pages'), set.count()]).toEqual([spooled, kept.length])
  const content = await bytesOf(set)
  for (const [page, image] of newest) expect(content.includes(image)).toBe(page <= set.page_count)
})
