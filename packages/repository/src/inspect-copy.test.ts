import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { type MemoryOperation, MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test, vi } from 'vitest'
import { AT, bytes, codeOf, frameThreads, giving, KEYS, MANIFEST, never, request, RING } from './backup.fixture.ts'
import { inspectCopy, type InspectRequest } from './inspect-copy.ts'
import { publicOnly } from './key-file.ts'
import { openKeyring } from './keyring.ts'
import { writeBackup } from './write-backup.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const ARTIFACT = `${AT}.db.zst.enc`
const good = new MemoryStore()
const { backup } = await writeBackup(request(good), giving(bytes(300_000)), never)
const plain = new MemoryStore()
await writeBackup(request(plain, { encrypt: false }), giving(bytes(300_000)), never)

function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore()
  for (const key of store.keys()) copy.plant(key, store.bytes(key))
  return copy
}
const inspect = (store: MemoryStore, level: 'checksum' | 'decode', overrides: Partial<InspectRequest> = {}) =>
  inspectCopy(
    {
      store,
      manifest_key: MANIFEST,
      manifest_sha256: null,
      keyring: RING,
      level,
      threads: 1,
      monotonicMs: () => 0,
      onProgress: () => {},
      ...overrides,
    },
    never,
  )
/** Names of the checks that failed. */
const failed = async (...args: Parameters<typeof inspect>) =>
  (await inspect(...args)).filter(({ ok }) => !ok).map(({ name }) => name)

test('a good copy passes every check at both levels, with and without encryption', async () => {
  const names = async (...args: Parameters<typeof inspect>) => {
    const checks = await inspect(...args)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    return checks.map(({ name }) => name)
  }
  const side = ['manifest', 'index', 'keys', 'recovery']
  expect(await names(good, 'checksum')).toEqual([...side, 'artifact-checksum'])
  expect(await names(good, 'decode', { manifest_sha256: backup.manifest_sha256 })).toEqual([
    ...side.toSpliced(3, 0, 'data-key'),
    'artifact',
    'frames',
    'tags',
    'artifact-checksum',
  ])
  expect(await names(plain, 'decode')).toEqual([
    'manifest',
    'index',
    'recovery',
    'artifact',
    'frames',
    'artifact-checksum',
  ])
})

test('a flipped bit in each object is found, and that object is named', async () => {
  const regions: Record<string, string> = {
    [`${AT}.index.zst`]: 'index',
    [`${AT}.keys.1.json`]: 'keys',
    [`${AT}.RECOVERY.md`]: 'recovery',
    [MANIFEST]: 'manifest',
    [ARTIFACT]: 'artifact-checksum',
  }
  const places = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 200 : 12
  for (const [key, name] of Object.entries(regions)) {
    const { length } = good.bytes(key)
    for (let n = 0; n < places; n++) {
      const store = copyOf(good)
      store.flip(key, Math.floor((n * (length - 1)) / (places - 1)), (n * 3) % 8)
      const bad = await failed(store, 'checksum')
      expect(bad).toEqual([name])
    }
  }
})

test('both levels name the damaged frame and its offset', async () => {
  for (const source of [good, plain]) {
    const store = copyOf(source)
    const key = store.keys().find((key) => key.includes('.db.zst'))!
    store.flip(key, 0, 3)
    store.flip(key, store.bytes(key).length - 1, 3)
    const quick = await inspect(store, 'checksum')
    expect(quick.find(({ ok }) => !ok)!.detail).toContain('frame 0 at offset 0 does not match the index')
    const checks = await inspect(store, 'decode')
    expect(checks.find(({ name }) => name === 'frames')).toMatchObject({ ok: false })
    expect(checks.find(({ name }) => name === 'frames')!.detail).toMatch(
      /2 of 19 frames are bad: frame 0 at offset 0 .*, frame 18 at/,
    )
    expect(checks.find(({ name }) => name === 'tags')?.detail ?? '0, 5').toMatch(/0, \d/)
    expect(checks.find(({ name }) => name === 'artifact-checksum')!.ok).toBe(false)
  }
})

test('a cut, grown or missing object is a finding, never an exception', async () => {
  for (const level of ['checksum', 'decode'] as const)
    for (const key of good.keys())
      for (const change of ['cut', 'grown', 'empty', 'missing']) {
        const store = copyOf(good)
        const bytes = store.bytes(key)
        if (change === 'cut') store.plant(key, bytes.subarray(0, -1))
        if (change === 'grown') store.plant(key, Buffer.concat([bytes, Buffer.from('x')]))
        if (change === 'empty') store.plant(key, Buffer.alloc(0))
        if (change === 'missing') store.plant(key, null)
        expect((await failed(store, level)).length, `${key} ${change}`).toBeGreaterThan(0)
      }
})

test('a cut artifact says how long it is and where it ends', async () => {
  const store = copyOf(good)
  store.plant(ARTIFACT, store.bytes(ARTIFACT).subarray(0, 30_000))
  const bad = (await inspect(store, 'decode')).filter(({ ok }) => !ok)
  expect(bad[0]!.detail).toMatch(/it has 30000 bytes, the manifest says \d+; frame \d+ at offset \d+ is cut off/)
  expect(bad.map(({ name }) => name)).toEqual(['artifact-checksum', 'frames'])
})

test('a manifest that is not the one of the catalog is found', async () => {
  expect(await failed(good, 'checksum', { manifest_sha256: '0'.repeat(64) })).toEqual(['manifest'])
})

test('checksum needs no private key; decode without one is an error of this machine, not of the copy', async () => {
  const keyring = openKeyring(publicOnly(KEYS.keyring), 'k.json', true)
  expect(await failed(good, 'checksum', { keyring })).toEqual([])
  expect(await codeOf(inspect(good, 'decode', { keyring }))).toBe('KEY_MISSING')
})

test('a store that cannot be reached is thrown, at whatever point, and no thread stays', async () => {
  const before = frameThreads()
  for (const level of ['checksum', 'decode'] as const)
    for (let nth = 1; ; nth++) {
      let count = 0
      const store = new MemoryStore({
        before(_operation: MemoryOperation) {
          if (++count === nth) throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'test' })
        },
      })
      for (const key of good.keys()) store.plant(key, good.bytes(key))
      const code = await codeOf(inspect(store, level))
      if (count < nth) break
      expect(code).toBe('STORE_UNREACHABLE')
    }
  expect(frameThreads()).toBe(before)
})
