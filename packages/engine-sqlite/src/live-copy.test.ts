import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { expect, test } from 'vitest'
import type { DatabaseFacts } from './child/messages.ts'
import { LiveCopy } from './live-copy.ts'

const PAGE = 4096
const PAGES = 12_000
const never = new AbortController().signal
const HELD: DatabaseFacts = {
  sqlite_version: '3',
  journal_mode: 'wal',
  page_size: PAGE,
  page_count: PAGES,
  data_version: 1,
  auto_vacuum: 0,
  user_version: 0,
  application_id: 0,
}

test('what was committed while a file was copied counts, wherever the copy was just then and whatever the file held of it', async () => {
  using bench = openBench()
  const expected = randomBytes(PAGES * PAGE)
  writeFileSync(bench.path('main'), expected)
  const main = openSync(bench.path('main'), 'r+')
  await using copy = await LiveCopy.begin(bench.path('main'), bench.path('copy'), PAGES * PAGE, PAGE)
  const commit = (page: number): Buffer => {
    const image = randomBytes(PAGE)
    copy.add(page, image)
    image.copy(expected, (page - 1) * PAGE)
    return image
  }
  const log = new Map([[7, commit(7)]])
  const running = copy.run(never)
  for (let round = 0; round < 8; round += 1) {
    await copy.pause()
    for (let page = 1 + round; page <= PAGES; page += 97) log.set(page, commit(page))
    // Behind what the file had when the copy began.
    copy.add(PAGES + 1 + round, randomBytes(PAGE))
    // Every other time a checkpoint moves all, and the log begins anew; else the file holds half of each page.
    const moved = round % 2 === 0 ? PAGE : PAGE / 2
    for (const [page, image] of log) writeSync(main, image, 0, moved, (page - 1) * PAGE)
    if (moved === PAGE) {
      copy.logBegins()
      log.clear()
    }
    copy.page_count = PAGES
    copy.goOn()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await running
  closeSync(main)
  commit(3)
  expect(await copy.finish(HELD, 'clinic')).toMatchObject({ page_count: PAGES })
  expect(readFileSync(bench.path('copy')).equals(expected)).toBe(true)
})

test.each([
  ['is copied where its pages were committed again', [PAGES - 1, PAGES], 'the same bytes'],
  ['is refused where they were not', [PAGES], 'SOURCE_CHANGED'],
])('a file that became shorter %s', async (_, again, expected) => {
  using bench = openBench()
  const bytes = randomBytes(PAGES * PAGE)
  writeFileSync(bench.path('main'), bytes)
  await using copy = await LiveCopy.begin(bench.path('main'), bench.path('copy'), PAGES * PAGE, PAGE)
  const commit = (page: number): void => copy.add(page, bytes.subarray((page - 1) * PAGE, page * PAGE))
  copy.page_count = PAGES
  commit(again[0]!)
  truncateSync(bench.path('main'), (PAGES - 2) * PAGE)
  await copy.run(never)
  again.slice(1).forEach(commit)
  const outcome = await copy.finish(HELD, 'clinic').then(
    () => (readFileSync(bench.path('copy')).equals(bytes) ? 'the same bytes' : 'other bytes'),
    ({ code }: SalvorError) => code,
  )
  expect(outcome).toBe(expected)
})
