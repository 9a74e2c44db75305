import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeTree } from './remove-tree.ts'

test('a tree goes with all its files, whatever their names are; what links lead to stays', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-remove-'))
  const [tree, beside] = [join(folder, 'tree'), join(folder, 'beside')]
  mkdirSync(join(tree, 'a', 'b'), { recursive: true })
  mkdirSync(beside)
  writeFileSync(join(beside, 'kept'), '')
  symlinkSync(beside, join(tree, 'a', 'link'))
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/a/`), Buffer.from([0xff, 0x41])]), '')
  for (let i = 0; i < 1_000; i += 1) writeFileSync(join(tree, 'a', 'b', String(i)), '')
  await removeTree(tree)
  expect([existsSync(tree), existsSync(join(beside, 'kept'))]).toEqual([false, true])
  await removeTree(tree)
  await removeTree(folder)
  expect(existsSync(folder)).toBe(false)
})
