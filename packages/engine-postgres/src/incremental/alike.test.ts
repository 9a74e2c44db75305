import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePatch } from '@salvor/repository/digests-patch'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { addAlikeLines } from './alike-lines.ts'
import { AlikeRanges } from './alike-ranges.ts'

const line = (n: number, sum = n): string => `{ "Path": "base/5/${n}", "Checksum": "${sum.toString(16)}" },\n`
const all = (count: number): string[] => Array.from({ length: count }, (_, n) => line(n))

describe('where digests are as the parent’s', () => {
  test('neighbours in both are one stretch, and what goes back is left out', () => {
    const ranges = new AlikeRanges()
    for (let n = 1; n < 2000; n += 1) ranges.add(100 * n, 100 * n, 80)
    expect([...ranges.ranges()]).toEqual([{ own: 0, base: 0, length: 199_980 }])
    ranges.add(200_100, 200_000, 50)
    ranges.add(200_200, 10, 50)
    ranges.add(200_300, 200_200, 50)
    expect([...ranges.ranges()].slice(1)).toEqual([{ own: 200_100, base: 200_000, length: 250 }])
    for (let n = 0; n < 1000; n += 1) ranges.add(300_000 + 100 * n, 300_000 + 110 * n, 20)
    expect([...ranges.ranges()]).toHaveLength(1002)
  })

  test('lines that are the same cost nothing, wherever they were moved by others', () => {
    using folder = temporaryFolder()
    const [own, base, patch] = ['own', 'base', 'patch'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ]
    // So many that some of the changed ones have the hash of another.
    const lines = all(200_000)
    writeFileSync(base, `head\n${lines.join('')}`)
    const changed = lines.flatMap((text, n) => {
      if (n % 5000 === 7) return []
      if (n % 5000 === 9) return [text, `new ${n}\n`]
      return n % 40 === 0 ? [line(n, n + 1)] : [text]
    })
    writeFileSync(own, `another head\n${changed.join('')}`)
    const ranges = new AlikeRanges()
    addAlikeLines(ranges, { file: own, from: 13 }, { file: base, from: 5 })
    const stands_on = { base: 'parent', base_sha256: 'sum' }
    expect(writePatch(patch, { own, base, alike: ranges.ranges(), stands_on })).toBe(true)
    expect(statSync(patch).size).toBeLessThan(5000 * 40)
  })
})
