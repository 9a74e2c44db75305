import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytes, codeOf, listAll, MiB, never, put, readAll, sha256 } from '@salvor/testkit/contracts/store-bytes'
import { describe, expect, test } from 'vitest'
import { LocalStore } from './index.ts'

const KEY = 'clinic/wal/00000001/000000010000000000000003.zst'
/** A program of its own: writes one object and says what became of it. */
const PROGRAM = `
  import { LocalStore } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)}
  const [path, key, size] = process.argv.slice(1)
  const never = new AbortController().signal
  const store = new LocalStore('local', { path })
  const writer = await store.create(key, {}, never)
  const chunk = Buffer.alloc(1024 * 1024, 5)
  try {
    for (let at = 0; at < Number(size); at += chunk.length) await writer.write(chunk)
    await writer.finish()
    console.log('acknowledged')
  } catch (error) {
    const again = await writer.finish().then(() => 'then acknowledged', (later) => later === error ? '' : ' then other')
    console.log(error.code + again)
    await writer.abort()
  }`

const straceWorks = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const mountWorks = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-mount-'))
  const works = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]).status === 0
  if (works) execFileSync('umount', [folder])
  rmSync(folder, { recursive: true })
  return works
})()

/** Runs the program with a fault at the nth call; `reached` tells whether it met the fault. */
function run(
  folder: string,
  size: number,
  calls: string,
  fault: string,
  nth: number,
): { said: string; reached: boolean } {
  const log = join(folder, 'strace.log')
  const strace = ['-f', '-qq', '-o', log, '-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}:when=${nth}`]
  const node = [process.execPath, '--conditions=source', '--no-warnings', '--input-type=module', '-e', PROGRAM]
  const { stdout } = spawnSync('strace', [...strace, ...node, join(folder, 'store'), KEY, String(size)], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' },
  })
  const reached = /\(INJECTED\)|killed by SIGKILL/.test(readFileSync(log, 'utf8'))
  return { said: stdout.trim(), reached }
}

/** The whole object or none; acknowledged means whole; and the next writer needs no help. */
async function expectOldOrNew(folder: string, size: number, said: string): Promise<void> {
  const path = join(folder, 'store')
  const data = Buffer.alloc(size, 5)
  const store = new LocalStore('local', { path })
  const found = await store.head(KEY, never)
  const digest = found === null ? 'absent' : sha256(await readAll(store, KEY))
  expect(said === 'acknowledged' ? [sha256(data)] : [sha256(data), 'absent']).toContain(digest)
  expect((await listAll(store)).length).toBe(found === null ? 0 : 1)
  await put(store, KEY, data)
  expect(sha256(await readAll(store, KEY))).toBe(sha256(data))
  expect(readdirSync(path).filter((name) => name.startsWith('.tmp-'))).toEqual([])
}

const withFolder = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-store-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Meets the fault at the first call, the second, and so on, until a run ends without meeting it. */
async function atEachCall(size: number, calls: string, fault: string): Promise<{ met: string[]; untouched: string }> {
  const met: string[] = []
  for (let nth = 1; ; nth++) {
    const { said, reached } = await withFolder(async (folder) => {
      const ran = run(folder, size, calls, fault, nth)
      await expectOldOrNew(folder, size, ran.said)
      return ran
    })
    if (!reached) return { met, untouched: said }
    met.push(said)
  }
}

/** What a trace did in `folder`, in order: a synced path, a link, the program's word. */
function stepsOf(trace: string, folder: string): string[] {
  return trace.split('\n').flatMap((line) => {
    if (line.includes('acknowledged')) return ['acknowledged']
    if (/ link(at)?\(/.test(line)) return ['link']
    const synced = /fsync\(\d+<([^>]*)>/.exec(line)?.[1]
    return synced === undefined || !synced.startsWith(folder)
      ? []
      : [synced.replace(/\.tmp-.*/, 'temporary').replace(folder, '')]
  })
}

const straceMissing = straceWorks ? '' : '(strace is missing or not allowed)'
describe.skipIf(!straceWorks)(`faults at system calls ${straceMissing}`, () => {
  test.each(['?mkdir,?mkdirat', 'pwrite64', 'fsync', '?link,?linkat', '?unlink,?unlinkat'])(
    'a kill at any %s leaves the old state or the new one',
    async (calls) => {
      const { met, untouched } = await atEachCall(2 * MiB, calls, 'signal=KILL')
      expect(met.length).toBeGreaterThan(0)
      expect(untouched).toBe('acknowledged')
    },
  )

  test.each([
    ['fsync', 2 * MiB, 'EIO', 'STORE_IO'],
    ['fdatasync', 70 * MiB, 'EIO', 'STORE_IO'],
    ['pwrite64', 2 * MiB, 'ENOSPC', 'STORE_FULL'],
    ['pwrite64', 2 * MiB, 'EIO', 'STORE_IO'],
    ['?link,?linkat', 2 * MiB, 'EIO', 'STORE_IO'],
  ])('%s that fails is never a success, also when asked again (%i bytes, %s)', async (calls, size, errno, code) => {
    const { met, untouched } = await atEachCall(size, calls, `error=${errno}`)
    expect(new Set(met)).toEqual(new Set([code]))
    expect(untouched).toBe('acknowledged')
  })

  test('the bytes are durable before the name exists, and every name before it is acknowledged', async () => {
    await withFolder(async (folder) => {
      const log = join(folder, 'strace.log')
      const strace = ['-f', '-qq', '-y', '-o', log, '-e', 'trace=fsync,?link,?linkat,write']
      const node = [process.execPath, '--conditions=source', '--no-warnings', '--input-type=module', '-e', PROGRAM]
      spawnSync('strace', [...strace, ...node, join(folder, 'store'), KEY, String(MiB)])
      const folders = ['/store/clinic/wal/00000001', '/store/clinic/wal', '/store/clinic', '/store', '']
      expect(stepsOf(readFileSync(log, 'utf8'), folder)).toEqual([
        '/store/temporary',
        'link',
        ...folders,
        'acknowledged',
      ])
    })
  })
})

describe.skipIf(!mountWorks)(`a disk that fills up ${mountWorks ? '' : '(no right to mount)'}`, () => {
  test('is told as full, leaves nothing of the attempt and everything older', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'salvor-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', folder])
    try {
      const store = new LocalStore('local', { path: join(folder, 'store') })
      await put(store, 'clinic/old', bytes(2 * MiB))
      expect(await codeOf(put(store, KEY, bytes(16 * MiB)))).toBe('STORE_FULL')
      expect((await listAll(store)).map((object) => object.key)).toEqual(['clinic/old'])
      expect((await readAll(store, 'clinic/old')).equals(bytes(2 * MiB))).toBe(true)
      await put(store, KEY, bytes(4 * MiB))
      expect((await store.space(never)).used_bytes).toBe(6 * MiB)
    } finally {
      execFileSync('umount', [folder])
      rmSync(folder, { recursive: true })
    }
  })
})
