import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { fetchFrom, states, writeDigestsChain } from './digests-chain.fixture.ts'
import { sha256 } from './hash.ts'

/** golden/v1-digests was written once by the first writer of patches of digests; it keeps what stands on stored chains possible. */
const ROOT = fileURLToPath(new URL('../golden/v1-digests', import.meta.url))
const LIST = join(ROOT, 'content.json')

if (!existsSync(LIST)) {
  await writeGolden()
  throw new Error(`${ROOT} was written now: look at it, then commit it`)
}

const expected = JSON.parse(readFileSync(LIST, 'utf8')) as Record<string, string>
const store = new MemoryStore()
for (const entry of globSync('store/**', { cwd: ROOT, withFileTypes: true }).filter((one) => one.isFile())) {
  const file = join(entry.parentPath, entry.name)
  store.plant(file.slice(ROOT.length + '/store/'.length), readFileSync(file))
}

test.each(Object.keys(expected))('digests of the frozen %s are what its snapshot left', async (key) => {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-golden-'))
  const chains = [false, true].map((encrypted) =>
    Object.keys(expected).filter((one) => one.startsWith(name(encrypted))),
  )
  const chain = chains.find((keys) => keys.includes(key))!
  try {
    const file = join(folder, 'digests')
    await fetchFrom(store, chain.slice(0, chain.indexOf(key) + 1), file)
    expect(sha256(readFileSync(file))).toBe(expected[key])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the frozen chains are small, and of both kinds', () => {
  expect(Object.keys(expected)).toHaveLength(6)
  expect(store.keys().filter((key) => key.includes('.digests.'))).toHaveLength(6)
  expect(store.keys().reduce((sum, key) => sum + store.bytes(key).length, 0)).toBeLessThan(150_000)
})

function name(encrypted: boolean): string {
  return encrypted ? 'sealed/' : 'plain/'
}

async function writeGolden(): Promise<void> {
  const made = new MemoryStore()
  const content: Record<string, string> = {}
  for (const encrypt of [true, false]) {
    const all = states(3)
    const source = name(encrypt).slice(0, -1)
    const keys = await writeDigestsChain(made, all, () => ({ encrypt, source }))
    for (const [n, key] of keys.entries()) content[key] = sha256(all[n]!)
  }
  for (const key of made.keys()) {
    mkdirSync(dirname(join(ROOT, 'store', key)), { recursive: true })
    writeFileSync(join(ROOT, 'store', key), made.bytes(key))
  }
  writeFileSync(LIST, `${JSON.stringify(content, null, 2)}\n`)
}
