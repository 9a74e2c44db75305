import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeStage, putInPlace, removeStage } from './put-in-place.ts'

const NOW = '2025-11-27T20:39:30.294774Z'
let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'salvor-place-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function fill(folder: string, version: string): void {
  mkdirSync(join(folder, 'global'), { recursive: true })
  writeFileSync(join(folder, 'PG_VERSION'), version)
  writeFileSync(join(folder, 'global', 'pg_control'), version)
}
const versionIn = (folder: string): string => readFileSync(join(folder, 'PG_VERSION'), 'utf8')

test('a new place gets the folder, with nothing beside it', async () => {
  const target = join(home, 'deep', 'data')
  const stage = await makeStage(target)
  expect(dirname(stage.path)).toBe(dirname(target))
  fill(stage.path, 'new')
  expect(await putInPlace(stage, target, NOW)).toEqual([])
  expect(versionIn(target)).toBe('new')
  expect(readdirSync(dirname(target))).toEqual(['data'])
})

test('what was in place is kept beside it', async () => {
  const target = join(home, 'data')
  fill(target, 'old')
  const stage = await makeStage(target)
  fill(stage.path, 'new')
  const [kept] = await putInPlace(stage, target, NOW)
  expect(kept).toBe(`${target}.before-20251127203930`)
  expect([versionIn(target), versionIn(kept ?? '')]).toEqual(['new', 'old'])
})

test('a swap that cannot be finished gives the former data back', async () => {
  const target = join(home, 'data')
  fill(target, 'old')
  const stage = await makeStage(target)
  removeStage(stage)
  await expect(putInPlace(stage, target, NOW)).rejects.toThrow('ENOENT')
  expect(versionIn(target)).toBe('old')
  expect(readdirSync(home)).toEqual(['data'])
})

test('in a mount point only the contents change places', async () => {
  const target = join(home, 'volume')
  fill(target, 'old')
  mkdirSync(join(target, 'lost+found'))
  const path = mkdtempSync(join(target, '.salvor-'))
  fill(path, 'new')
  const [kept] = await putInPlace({ path, inside: true }, target, NOW)
  expect(kept).toBe(join(target, '.salvor-before-20251127203930'))
  expect([versionIn(target), versionIn(kept ?? '')]).toEqual(['new', 'old'])
  expect(readdirSync(target).toSorted()).toEqual([basename(kept ?? ''), 'PG_VERSION', 'global', 'lost+found'])
})

test('a swap of contents that cannot be finished gives the former contents back', async () => {
  const target = join(home, 'volume')
  fill(target, 'old')
  const path = join(target, '.salvor-gone')
  await expect(putInPlace({ path, inside: true }, target, NOW)).rejects.toThrow('ENOENT')
  expect(versionIn(target)).toBe('old')
  expect(readdirSync(target).toSorted()).toEqual(['PG_VERSION', 'global'])
})

test.each([false, true])(
  'tablespaces change places with the data, and the former data keep theirs (mount point: %s)',
  async (inside) => {
    const target = join(home, 'data')
    const place = join(home, 'fast')
    fill(target, 'old')
    mkdirSync(join(target, 'pg_tblspc'))
    mkdirSync(join(place, 'PG_17_202406281', '5'), { recursive: true })
    mkdirSync(join(place, 'PG_18_202506291'))
    symlinkSync(place, join(target, 'pg_tblspc', '16400'))
    const stage = inside ? { path: mkdtempSync(join(target, '.salvor-')), inside } : await makeStage(target)
    fill(stage.path, 'new')
    const path = mkdtempSync(join(place, '.salvor-'))
    mkdirSync(join(path, 'PG_17_202406281', '6'), { recursive: true })
    const kept = await putInPlace(stage, target, NOW, [{ oid: '16400', place, path }])
    expect(kept).toHaveLength(2)
    expect(readdirSync(place).toSorted()).toEqual([basename(kept[1]!), 'PG_17_202406281', 'PG_18_202506291'])
    expect(readdirSync(join(place, 'PG_17_202406281'))).toEqual(['6'])
    expect(readdirSync(join(kept[0]!, 'pg_tblspc', '16400', 'PG_17_202406281'))).toEqual(['5'])
    expect([versionIn(target), versionIn(kept[0]!)]).toEqual(['new', 'old'])
  },
)

test('a swap of tablespaces that cannot be finished gives all of them back', async () => {
  const target = join(home, 'data')
  fill(target, 'old')
  mkdirSync(join(target, 'pg_tblspc'))
  const places = ['fast', 'slow'].map((name) => join(home, name))
  const staged = places.map((place, i) => {
    mkdirSync(join(place, 'PG_17_202406281', 'old'), { recursive: true })
    symlinkSync(place, join(target, 'pg_tblspc', String(i)))
    const path = mkdtempSync(join(place, '.salvor-'))
    mkdirSync(join(path, 'PG_17_202406281', 'new'), { recursive: true })
    return { oid: String(i), place, path }
  })
  const stage = await makeStage(target)
  fill(stage.path, 'new')
  // Somebody else made the place to which the second one's former contents would go.
  mkdirSync(join(places[1]!, '.salvor-before-20251127203930'))
  await expect(putInPlace(stage, target, NOW, staged)).rejects.toThrow('EEXIST')
  expect(versionIn(target)).toBe('old')
  for (const [i, place] of places.entries()) {
    expect(readdirSync(join(target, 'pg_tblspc', String(i), 'PG_17_202406281'))).toEqual(['old'])
    expect(readdirSync(join(place, 'PG_17_202406281'))).toEqual(['old'])
  }
})
