import { writeFileSync } from 'node:fs'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { expect, test } from 'vitest'
import { tellGrowth } from './tell-growth.ts'

test('a file that grows is told of, never beyond its total, and not any more when the copy is over', async () => {
  using bench = openBench()
  const context = bench.context()
  const path = bench.path('copy.db')
  {
    using _growth = tellGrowth(context, path, 100)
    writeFileSync(path, Buffer.alloc(60))
    await expect.poll(() => context.reported.at(-1)?.done_bytes, { timeout: 5_000 }).toBe(60)
    writeFileSync(path, Buffer.alloc(200))
    await expect.poll(() => context.reported.at(-1)?.done_bytes, { timeout: 5_000 }).toBe(100)
  }
  expect(context.reported[0]).toEqual({ phase: 'copy aside', done_bytes: 0, total_bytes: 100 })
  const told = context.reported.length
  await new Promise((resolve) => setTimeout(resolve, 700))
  expect(context.reported).toHaveLength(told)
})
