import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { type MemoryOperation, MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { afterAll, expect, test, vi } from 'vitest'
import { AT, bytes, codeOf, FACTS, frameThreads, giving, MANIFEST, never, request, RING } from './backup.fixture.ts'
import { asHex } from './hash.ts'
import { parseManifest } from './manifest.ts'
import { readArtifactIndex } from './open-backup.ts'
import { PageHasher } from './page-hash.ts'
import { openArtifact } from './read-artifact.ts'
import { type BackupRequest, writeBackup } from './write-backup.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const folder = mkdtempSync(join(tmpdir(), 'salvor-write-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function restored(store: MemoryStore, manifest_key = MANIFEST): Promise<Buffer> {
  await using opened = await openArtifact(
    { store, manifest_key, manifest_sha256: null, keyring: RING, threads: 1 },
    never,
  )
  const chunks: Buffer[] = []
  for await (const chunk of opened.content.chunks(never)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function roundTrip(
  take: (sink: SnapshotSink) => Promise<void>,
  overrides: Partial<BackupRequest> = {},
): Promise<Buffer> {
  const store = new MemoryStore()
  const engine = async (sink: SnapshotSink) => {
    await take(sink)
    return FACTS
  }
  await writeBackup(request(store, overrides), engine, never)
  return restored(store)
}

function withFile<T>(data: Uint8Array, use: (fd: number) => Promise<T>): Promise<T> {
  const path = join(folder, 'source.db')
  writeFileSync(path, data)
  const fd = openSync(path, 'r')
  return use(fd).finally(() => closeSync(fd))
}

test('the objects of a backup are written in the order of the format, the manifest last', async () => {
  const order: string[] = []
  const store = new MemoryStore({ before: (operation, key) => void (operation === 'finish' && order.push(key)) })
  const { backup, notices } = await writeBackup(request(store), giving(bytes(200_000)), never)
  expect(order).toEqual([`${AT}.db.zst.enc`, `${AT}.index.zst`, `${AT}.keys.1.json`, `${AT}.RECOVERY.md`, MANIFEST])
  const { manifest, sha256 } = parseManifest(store.bytes(MANIFEST), MANIFEST, RING)
  expect(manifest).toMatchObject({ ...FACTS, frames: 13, source_bytes: 200_000, size_bytes: backup.size_bytes })
  expect(backup).toMatchObject({ state: 'completed', encrypted: true, manifest_sha256: sha256, source_bytes: 200_000 })
  expect(notices).toEqual(FACTS.notices)
})

test('bytes of any length come back, at the edges of frames and segments too', async () => {
  for (const size of [0, 1, 16_383, 16_384, 16_385, 32_768, 50_000, 163_840, 1_000_003])
    for (const overrides of [
      {},
      { encrypt: false, allowPlain: true },
      { compression: { algorithm: 'gzip' as const, level: 6 } },
    ]) {
      const data = bytes(size, size)
      const back = await roundTrip(async (sink) => void (await giving(data)(sink)), overrides)
      expect(back.equals(data), `${size} bytes ${JSON.stringify(overrides)}`).toBe(true)
    }
})

test('chunks of any size are taken, larger than all slots together too', async () => {
  const data = bytes(700_000)
  for (const piece of [1_000_000, 140_000, 16_384, 4097])
    expect((await roundTrip(async (sink) => void (await giving(data, piece)(sink)))).equals(data)).toBe(true)
})

test('a file is read at random with its ranges of zeros, after written bytes and before others', async () => {
  const data = bytes(300_001)
  const zeros = [
    { offset: 200_000, length: 70_000 },
    { offset: 0, length: 10 },
    { offset: 299_990, length: 500 },
  ]
  const expected = Buffer.from(data)
  for (const { offset, length } of zeros) expected.fill(0, offset, Math.min(offset + length, data.length))
  const back = await withFile(data, (fd) =>
    roundTrip(async (sink) => {
      await sink.write(Buffer.from('before'))
      await sink.writeFile(fd, data.length, zeros)
      await sink.write(Buffer.from('between'))
      await sink.writeFile(fd, 100)
      await sink.writeFile(fd, 0)
    }),
  )
  expect(
    back.equals(Buffer.concat([Buffer.from('before'), expected, Buffer.from('between'), data.subarray(0, 100)])),
  ).toBe(true)
})

test('digests of pages come with the bytes of a file, for every page and in order', async () => {
  const page_size = 4096
  const salt = bytes(16, 3)
  const data = bytes(75 * page_size)
  const zeros = [{ offset: 40 * page_size, length: page_size }]
  const digests: Buffer[] = []
  const back = await withFile(data, (fd) =>
    roundTrip(async (sink) => {
      const take = (some: Uint8Array): void => void digests.push(Buffer.from(some))
      await sink.writePages!(fd, data.length, zeros, { page_size, salt, take })
      await expect(sink.writePages!(fd, data.length, zeros, { page_size, salt, take })).rejects.toThrow(/fit/)
    }),
  )
  data.fill(0, 40 * page_size, 41 * page_size)
  expect(back.equals(data)).toBe(true)
  const hasher = new PageHasher(salt, page_size)
  hasher.piece.set(data)
  expect(Buffer.concat(digests).equals(hasher.digest(data.length))).toBe(true)
})

test('zeros are zeros in the end of a file too, whatever lay in memory before', async () => {
  const data = bytes(5000)
  const expected = Buffer.concat([bytes(200_000, 2), data])
  expected.fill(0, 200_100, 200_300).fill(0, 204_000)
  const zeros = [
    { offset: 100, length: 200 },
    { offset: 4000, length: 1000 },
  ]
  const back = await withFile(data, (fd) =>
    roundTrip(async (sink) => {
      await giving(bytes(200_000, 2))(sink)
      await sink.writeFile(fd, 5000, zeros)
    }),
  )
  expect(back.equals(expected)).toBe(true)
})

test('a file that is shorter than said fails the backup, wherever it ends', async () => {
  for (const size of [0, 5, 16_384, 100_000, 299_999]) {
    const store = new MemoryStore()
    const code = await withFile(bytes(size), (fd) => {
      const take = async (sink: SnapshotSink) => {
        await sink.writeFile(fd, 300_000)
        return FACTS
      }
      return codeOf(writeBackup(request(store), take, never))
    })
    expect(code, `${size} bytes`).toBe('SOURCE_CHANGED')
    expect(store.keys()).toEqual([])
  }
})

test('a name that is taken is refused before the source is read', async () => {
  for (const taken of [MANIFEST, `${AT}.db.zst.enc`, `${AT}.index.zst`, `${AT}.keys.1.json`, `${AT}.RECOVERY.md`]) {
    const store = new MemoryStore()
    store.plant(taken, Buffer.from('x'))
    let read = false
    const take = async () => {
      read = true
      return FACTS
    }
    expect(await codeOf(writeBackup(request(store), take, never))).toBe('STORE_CONFLICT')
    expect(read).toBe(false)
    expect(store.keys()).toEqual([taken])
  }
})

test('the next second is a good name for the same attempt', async () => {
  const store = new MemoryStore()
  const stem = 'backup_full_20251127_203931'
  await writeBackup(request(store, { filename_stem: stem }), giving(bytes(1000)), never)
  expect((await restored(store, `clinic/${stem}.manifest.json`)).equals(bytes(1000))).toBe(true)
})

test('a remote store refuses a plain artifact unless the source says so', async () => {
  const remote = () => new MemoryStore({ capabilities: { remote: true } })
  const plain = { encrypt: false }
  expect(await codeOf(writeBackup(request(remote(), plain), giving(bytes(10)), never))).toBe('STORE_REFUSES_PLAIN')
  expect(await codeOf(writeBackup(request(remote(), { ...plain, allowPlain: true }), giving(bytes(10)), never))).toBe(
    'resolved',
  )
  expect(await codeOf(writeBackup(request(new MemoryStore(), plain), giving(bytes(10)), never))).toBe('resolved')
})

/** Fails, or aborts, at the nth operation of the store until a run gets through. */
async function atEveryOperation(spoil: (stop: AbortController) => void): Promise<{ codes: string[]; left: string[] }> {
  const codes: string[] = []
  const left: string[] = []
  for (let spoilt = true; spoilt;) {
    spoilt = false
    let count = 0
    const stop = new AbortController()
    const before = (operation: MemoryOperation) => {
      if (operation === 'head' || operation === 'delete' || count++ !== codes.length) return
      spoilt = true
      spoil(stop)
    }
    const store = new MemoryStore({ before })
    codes.push(await codeOf(writeBackup(request(store), giving(bytes(150_000)), stop.signal)))
    if (spoilt) left.push(...store.keys())
  }
  expect(codes.pop()).toBe('resolved')
  return { codes, left }
}

test('a store that fails at any point leaves no object behind, and no thread', async () => {
  const threads = frameThreads()
  const { codes, left } = await atEveryOperation(() => {
    throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'test' })
  })
  expect(codes.length).toBeGreaterThan(20)
  expect(new Set(codes)).toEqual(new Set(['STORE_UNREACHABLE']))
  expect(left).toEqual([])
  expect(frameThreads()).toBe(threads)
})

test('an interruption at any point leaves no object behind, and no thread', async () => {
  const threads = frameThreads()
  const { codes, left } = await atEveryOperation((stop) => stop.abort())
  expect(codes.length).toBeGreaterThan(20)
  expect(new Set(codes)).toEqual(new Set(['INTERRUPTED']))
  expect(left).toEqual([])
  expect(frameThreads()).toBe(threads)
})

test('an engine that fails, at once or in the middle, leaves nothing and its error comes through', async () => {
  for (const size of [0, 150_000]) {
    const store = new MemoryStore()
    const take = async (sink: SnapshotSink) => {
      await giving(bytes(size))(sink)
      throw new SalvorError('SOURCE_BROKE_OFF', { source: 'clinic', reason: 'test' })
    }
    expect(await codeOf(writeBackup(request(store), take, never))).toBe('SOURCE_BROKE_OFF')
    expect(store.keys()).toEqual([])
  }
})

test('where nothing can be deleted, what is left has no manifest; a manifest that got through keeps all it needs', async () => {
  const denied = new SalvorError('STORE_DENIED', { store: 'memory', what: 'delete', reason: 'test' })
  const locked = new MemoryStore({
    before(operation, key) {
      if (operation === 'delete') throw denied
      if (operation === 'finish' && key === MANIFEST)
        throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: '' })
    },
  })
  expect(await codeOf(writeBackup(request(locked), giving(bytes(1000)), never))).toBe('STORE_UNREACHABLE')
  expect(locked.keys()).toHaveLength(4)
  expect(locked.keys()).not.toContain(MANIFEST)

  const late = new MemoryStore()
  const create = late.create.bind(late)
  late.create = async (...args) => {
    const writer = await create(...args)
    if (args[0] !== MANIFEST) return writer
    const finish = writer.finish.bind(writer)
    writer.finish = async () => {
      await finish()
      throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'the answer was lost' })
    }
    return writer
  }
  expect(await codeOf(writeBackup(request(late), giving(bytes(1000)), never))).toBe('STORE_UNREACHABLE')
  expect((await restored(late)).equals(bytes(1000))).toBe(true)
})

test('another writer that took the name in the meantime loses nothing', async () => {
  const data = bytes(40_000)
  const store = new MemoryStore()
  const take = async (sink: SnapshotSink) => {
    await writeBackup(request(store), giving(data), never)
    return giving(bytes(40_000, 2))(sink)
  }
  expect(await codeOf(writeBackup(request(store), take, never))).toBe('STORE_CONFLICT')
  expect((await restored(store)).equals(data)).toBe(true)
})

test('an attempt that fails ends its upload, and never while a write is still under way', async () => {
  const store = new MemoryStore()
  const calls: string[] = []
  const create = store.create.bind(store)
  store.create = async (...args) => {
    const writer = await create(...args)
    const { write, abort } = { write: writer.write.bind(writer), abort: writer.abort.bind(writer) }
    writer.write = async (chunk) => {
      calls.push('begin')
      await sleep(20)
      await write(chunk)
      calls.push('end')
    }
    writer.abort = async () => {
      calls.push('abort')
      await abort()
    }
    return writer
  }
  const take = async (sink: SnapshotSink) => {
    await sink.write(bytes(60_000))
    while (!calls.includes('begin')) await sleep(1)
    throw new SalvorError('SOURCE_BROKE_OFF', { source: 'clinic', reason: 'test' })
  }
  expect(await codeOf(writeBackup(request(store), take, never))).toBe('SOURCE_BROKE_OFF')
  expect(calls).toEqual(['begin', 'end', 'abort'])
})

test('objects that another writer may need stay when the name turns out to be taken', async () => {
  const store = new MemoryStore({
    before(operation, key) {
      if (operation === 'finish' && key.endsWith('.index.zst')) store.plant(key, Buffer.from('of another writer'))
    },
  })
  expect(await codeOf(writeBackup(request(store, { encrypt: false }), giving(bytes(1000)), never))).toBe(
    'STORE_CONFLICT',
  )
  expect(store.keys()).toEqual([`${AT}.db.zst`, `${AT}.index.zst`])
})

test('no two segments of a backup have the same IV', async () => {
  const store = new MemoryStore()
  await writeBackup(request(store), giving(bytes(400_000)), never)
  const { manifest } = parseManifest(store.bytes(MANIFEST), MANIFEST, RING)
  const { segments } = await readArtifactIndex(manifest, store, never)
  expect(segments.length).toBeGreaterThan(4)
  expect(new Set(segments.map(({ iv }) => asHex(iv!))).size).toBe(segments.length)
})

test('a store that echoes other bytes than were sent fails the backup', async () => {
  const store = new MemoryStore()
  const create = store.create.bind(store)
  store.create = async (...args) => {
    const writer = await create(...args)
    const finish = writer.finish.bind(writer)
    writer.finish = async () => ({ ...(await finish()), sha256: '0'.repeat(64) })
    return writer
  }
  expect(await codeOf(writeBackup(request(store), giving(bytes(1000)), never))).toBe('STORE_BAD_ECHO')
})

test('every backup has a data key of its own, and says how far it is', async () => {
  const one = new MemoryStore()
  const two = new MemoryStore()
  const seen: number[] = []
  const overrides = { threads: 3, onProgress: ({ done_bytes }: { done_bytes: number }) => void seen.push(done_bytes) }
  await writeBackup(request(one, overrides), giving(bytes(40 << 20), 1 << 20), never)
  await writeBackup(request(two), giving(bytes(100_000)), never)
  const commitments = [one, two].map(
    (store) => parseManifest(store.bytes(MANIFEST), MANIFEST, RING).manifest.encryption,
  )
  expect(commitments[0]!.key_commitment).not.toBe(commitments[1]!.key_commitment)
  expect(seen).toEqual([16 << 20, 32 << 20])
})
