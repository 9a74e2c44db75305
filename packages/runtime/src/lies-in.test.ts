import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { anyLiesIn } from './lies-in.ts'

let place = ''
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'salvor-test-'))
  await mkdir(join(place, 'data/sandbox'), { recursive: true })
  for (const name of ['data/catalog.db', 'data/sandbox/copy.db', 'clinic.db']) await writeFile(join(place, name), '')
})
afterEach(() => rm(place, { recursive: true }))

test.each([
  ['the file itself', 'data/catalog.db', true],
  ['a symbolic link to it', 'soft.db', true],
  ['another name of it', 'hard.db', true],
  ['a folder on the way that is a link', 'way/catalog.db', true],
  ['a file beside the folder', 'clinic.db', false],
  ['a file deeper in the folder', 'data/sandbox/copy.db', false],
  ['a file that is not there', 'nothing.db', false],
  ['a name that cannot be looked at', 'clinic.db/x', true],
])('%s', async (_, name, lies) => {
  await symlink('data/catalog.db', join(place, 'soft.db'))
  await link(join(place, 'data/catalog.db'), join(place, 'hard.db'))
  await symlink('data', join(place, 'way'))
  expect(await anyLiesIn(join(place, 'data'), [join(place, 'clinic.db'), join(place, name)])).toBe(lies)
})

test('no files lie nowhere, and nothing lies in a folder that is not there', async () => {
  expect(await anyLiesIn(join(place, 'data'), [])).toBe(false)
  expect(await anyLiesIn(join(place, 'none'), [join(place, 'clinic.db')])).toBe(false)
})
