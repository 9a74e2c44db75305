import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { codeOf, never, RING } from './backup.fixture.ts'
import { addresses, fetchFrom, states, writeDigestsChain } from './digests-chain.fixture.ts'
import { fetchDigests } from './fetch-digests.ts'

vi.setConfig({ testTimeout: 120_000 })

const folder = mkdtempSync(join(tmpdir(), 'salvor-digests-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'fetched')
beforeEach(() => rmSync(file, { force: true }))

const digestsKey = (manifest: string, ending = '.enc'): string =>
  manifest.replace('.manifest.json', `.digests.zst${ending}`)
const reasonOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'fetched',
    (error: Error) => error.message,
  )

const all = states(20)
const sealed = new MemoryStore()
const keys = await writeDigestsChain(sealed, all)

test('each backup of a chain gives the digests that were left for it, and all but the full store only what differs', async () => {
  for (const [n, state] of all.entries()) {
    rmSync(file, { force: true })
    const manifest = await fetchFrom(sealed, keys.slice(0, n + 1), file)
    expect(manifest.parent === null).toBe(n === 0)
    expect(readFileSync(file).equals(state)).toBe(true)
    expect(readdirSync(folder)).toEqual(['fetched'])
    expect(sealed.bytes(digestsKey(keys[n]!)).length < 1000).toBe(n > 0)
  }
})

test('a chain whose digests are plain, and whole in the middle, needs nothing below those', async () => {
  const store = new MemoryStore()
  const jump = all.slice(0, 9).map((state, n) => (n === 4 ? Buffer.from(state.toReversed()) : state))
  const plain = await writeDigestsChain(store, jump, () => ({ encrypt: false }))
  const first = zstdDecompressSync(store.bytes(digestsKey(plain[1]!, ''))).toString('latin1')
  expect(first).toMatch(/^\{"format":"salvor-digests-patch","version":1,"base":/)
  // In 5 all is back as it was in 3: whole, too.
  for (const n of [0, 4, 5]) expect(store.bytes(digestsKey(plain[n]!, '')).length).toBeGreaterThan(10_000)
  for (const n of [0, 1, 2, 3, 4]) store.plant(digestsKey(plain[n]!, ''), Buffer.alloc(3))
  await fetchFrom(store, plain, file)
  expect(readFileSync(file).equals(jump[8]!)).toBe(true)
  const opened: number[] = []
  const counted = addresses(store, plain.slice(0, 6)).map((address, n) => ({
    ...address,
    store: () => (opened.push(n), address.store()),
  }))
  rmSync(file)
  await fetchDigests(counted, RING, file, never)
  expect(opened).toEqual([5])
})

test('a patch in the middle that is damaged, lost, of another chain or of another state leaves nothing', async () => {
  const store = new MemoryStore()
  for (const key of sealed.keys()) store.plant(key, sealed.bytes(key))
  const at = digestsKey(keys[7]!)
  const good = store.bytes(at)
  const flipped = Buffer.from(good)
  flipped[good.length >> 1]! ^= 1
  for (const bytes of [flipped, good.subarray(0, 40), Buffer.alloc(0), store.bytes(digestsKey(keys[8]!))]) {
    store.plant(at, bytes)
    expect(await codeOf(fetchFrom(store, keys, file))).toBe('ARTIFACT_CORRUPT')
    expect(await reasonOf(fetchFrom(store, keys, file))).toContain(at)
    expect(readdirSync(folder)).toEqual([])
  }
  await fetchFrom(store, keys.slice(0, 7), file)
  rmSync(file)
  store.plant(at, good)
  await fetchFrom(store, keys, file)
  rmSync(file)
  expect(await reasonOf(fetchFrom(store, [...keys.slice(0, 7), ...keys.slice(8)], file))).toMatch(/do not stand on/)
  expect(await reasonOf(fetchFrom(store, keys.slice(3), file))).toMatch(/no backup below it/)
  await store.delete(at, never)
  expect(await codeOf(fetchFrom(store, keys, file))).toBe('STORE_NOT_FOUND')
  expect(existsSync(file)).toBe(false)
})

test('digests of the same id that are signed but not those that a patch was made on are refused', async () => {
  const [one, other] = [new MemoryStore(), new MemoryStore()]
  const chain = await writeDigestsChain(one, all.slice(0, 3))
  await writeDigestsChain(other, [Buffer.from(all[0]!.toReversed()), all[1]!])
  for (const key of other.keys().filter((name) => name.includes('backup_full'))) one.plant(key, other.bytes(key))
  expect(await reasonOf(fetchFrom(one, chain, file))).toMatch(/do not stand on/)
})

test('pieces of a process that died over them are no hindrance', async () => {
  writeFileSync(`${file}.3`, 'half')
  await fetchFrom(sealed, keys.slice(0, 6), file)
  expect(readFileSync(file).equals(all[5]!)).toBe(true)
  expect(readdirSync(folder)).toEqual(['fetched'])
})
