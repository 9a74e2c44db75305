import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { PAGE, writeHead } from '../incremental/form.ts'
import { assertStandsOn, fullLabel, parseLabel } from './label.ts'
import { ScratchTable } from './scratch-table.ts'
import { NewestIncremental, OlderIncremental, olderWhole } from './takers.ts'
import { Tree } from '../data-folder/tree.ts'

/** One state of a file: the value that fills each page. */
type State = readonly number[]

const bytesOf = (values: readonly number[]) => Buffer.concat(values.map((value) => Buffer.alloc(PAGE, value)))

/** What a server sends of `now`, when `before` is what it was. */
function increment(before: State, now: State): Buffer {
  const pages = now.flatMap((value, i) => (i >= before.length || before[i] !== value ? [i] : []))
  const head = writeHead({ truncation: now.length, pages: Uint32Array.from(pages) })
  return Buffer.concat([head, bytesOf(pages.map((page) => now[page]!))])
}

const state = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 })

test('any chain of states of a file ends in the newest, in pieces of any size', () => {
  using folder = temporaryFolder()
  let run = 0
  fc.assert(
    fc.property(
      fc.array(state, { minLength: 2, maxLength: 6 }),
      fc.integer({ min: 700, max: 30_000 }),
      (states, piece) => {
        const name = `base/5/${++run}`
        using table = new ScratchTable(join(folder.path, `table-${run}`))
        const whole: string[] = []
        const combined = {
          tree: new Tree(folder.path, run > 1 ? ['base', 'base/5'] : []),
          table,
          whole: (one: string) => whole.push(one),
        }
        const give = (taker: { write(bytes: Buffer): void; end(): void }, bytes: Buffer) => {
          for (let at = 0; at < bytes.length; at += piece) taker.write(bytes.subarray(at, at + piece))
          taker.end()
        }
        const parts = states
          .slice(1)
          .map((now, i) => increment(states[i]!, now))
          .toReversed()
        give(new NewestIncremental(combined, name, parts[0]!.length), parts[0]!)
        for (const part of parts.slice(1)) {
          const waiting = table.find(name)
          if (waiting) give(new OlderIncremental(combined, waiting, part.length), part)
        }
        const waiting = table.find(name)
        const full = bytesOf(states[0]!)
        if (waiting) give(olderWhole(combined, waiting, full.length), full)
        expect(whole).toEqual([name])
        expect(table.first()).toBe(null)
        expect(readFileSync(join(folder.path, name)).equals(bytesOf(states.at(-1)!))).toBe(true)
      },
    ),
    { numRuns: 60 },
  )
})

describe('the table of waiting files', () => {
  test('keeps what came over many files, and names one that still waits', () => {
    using folder = temporaryFolder()
    using table = new ScratchTable(join(folder.path, 'table'))
    for (let i = 0; i < 5000; i++) expect(table.add(`base/5/${i}`, 1 + (i % 20), Uint32Array.of(0))).toBe(true)
    expect(table.add('base/5/77', 1, Uint32Array.of())).toBe(false)
    for (let i = 0; i < 5000; i++) {
      const file = table.find(`base/5/${i}`)!
      expect([file.wanted, file.came[0]]).toEqual([1 + (i % 20), 1])
      if (i !== 4321) table.done(file)
    }
    expect(table.find('base/5/1')).toBe(null)
    expect([table.waiting, table.first()]).toEqual([1, 'base/5/4321'])
  })
})

describe('a label', () => {
  const label = `START WAL LOCATION: 0/9000028 (file 000000010000000000000009)
CHECKPOINT LOCATION: 0/9000080
BACKUP METHOD: streamed
START TIMELINE: 1
INCREMENTAL FROM LSN: 0/7000028
INCREMENTAL FROM TLI: 1
`
  test('of an increment becomes one that a server starts with', () => {
    expect(fullLabel(label)).toBe(label.split('INCREMENTAL')[0])
    expect(parseLabel(label)).toEqual({ start: '0/9000028', timeline: 1, from: { lsn: '0/7000028', timeline: 1 } })
    expect(() => parseLabel('')).toThrow(/backup_label/)
  })

  test('tells on what it stands', () => {
    const older = { start: '0/7000028', timeline: 1, from: null }
    expect(() => assertStandsOn(parseLabel(label), older)).not.toThrow()
    expect(() => assertStandsOn(parseLabel(label), { ...older, start: '0/8000028' })).toThrow(/broken/)
    expect(() => assertStandsOn(parseLabel(label), { ...older, timeline: 2 })).toThrow(/broken/)
  })
})

test('a tree overwrites nothing', () => {
  using folder = temporaryFolder()
  const tree = new Tree(folder.path)
  closeSync(tree.create('base/5/1', 0))
  expect(() => tree.create('base/5/1', 0)).toThrow(/twice/)
  closeSync(openSync(join(folder.path, 'file'), 'w'))
  expect(() => tree.folder('file/below')).toThrow(/both/)
})
