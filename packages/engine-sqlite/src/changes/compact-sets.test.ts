import { readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Increment } from '@salvor/shared/ports/engine'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyIncrements } from '../pages/apply-pages.ts'
import { groupHead, headLine } from '../pages/page-stream.ts'
import { compactSets } from './compact-sets.ts'

const PAGE = 512
const never = new AbortController().signal

interface Sample {
  readonly page_count: number
  readonly changed: readonly number[]
}

/** The bytes of a set whose pages are filled with its own number. */
function bytesOf({ page_count, changed }: Sample, n: number): Buffer {
  const runs = [...new Set(changed)].filter((page) => page <= page_count).toSorted((a, b) => a - b)
  const groups = runs.flatMap((page) => [groupHead([{ first: page, count: 1 }]), Buffer.alloc(PAGE, n)])
  return Buffer.concat([headLine({ page_size: PAGE, page_count, digesting: null }), ...groups, Buffer.alloc(4)])
}

function increment(bytes: Buffer): Increment {
  const content = {
    size: bytes.length,
    async *chunks() {
      for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700)
    },
    writeTo: () => Promise.reject(new Error('no whole database')),
  }
  return { id: 'set', consistent_at: '', engine_facts: {}, open: (work) => work(content) }
}

async function laidOver(bench: Bench, base: Buffer, sets: readonly Buffer[]): Promise<Buffer> {
  const file = bench.path('state')
  writeFileSync(file, base)
  await using handle = await open(file, 'r+')
  await applyIncrements(handle, sets.map(increment), never)
  return readFileSync(file)
}

async function compacted(bench: Bench, sets: readonly Buffer[]): Promise<Buffer> {
  await using made = await compactSets(bench.context(), sets.toReversed().map(increment), never)
  const once = Buffer.concat([...made.content()])
  expect(Buffer.concat([...made.content()]).equals(once)).toBe(true)
  return once
}

test('sets that were made one, in any grouping, bring what they brought one after another, over every state', async () => {
  using bench = openBench()
  const sample = fc.record({
    page_count: fc.integer({ min: 1, max: 24 }),
    changed: fc.array(fc.integer({ min: 1, max: 24 }), { maxLength: 8 }),
  })
  const runs = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 5_000 : 60
  await fc.assert(
    fc.asyncProperty(
      fc.array(sample, { minLength: 2, maxLength: 8 }),
      fc.nat(24),
      fc.nat(6),
      async (samples, length, cut) => {
        const sets = samples.map((one, n) => bytesOf(one, n + 1))
        const base = Buffer.alloc(length * PAGE, 0xbb)
        const truth = await laidOver(bench, base, sets)
        const whole = await compacted(bench, sets)
        expect((await laidOver(bench, base, [whole])).equals(truth)).toBe(true)
        // Of some, and then those with the rest: as days are made of hours.
        const at = 1 + (cut % (sets.length - 1))
        const first = await compacted(bench, sets.slice(0, at))
        expect((await laidOver(bench, base, [first, ...sets.slice(at)])).equals(truth)).toBe(true)
        const again = await compacted(bench, [first, ...sets.slice(at)])
        expect((await laidOver(bench, base, [again])).equals(truth)).toBe(true)
        // Laid over a state within them, as over a backup that was taken meanwhile.
        const within = await laidOver(bench, base, sets.slice(0, at))
        expect((await laidOver(bench, within, [whole])).equals(truth)).toBe(true)
      },
    ),
    { numRuns: runs },
  )
}, 60_000)
