import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { openForCommand } from '../context.ts'
import { askHelper } from './ask-helper.ts'
import { requestOf } from './helper-answer.ts'
import { packRequest, type HelperRequest } from './helper-message.ts'
import { helperPlace, ownFolder } from './helper-place.ts'
import { WalHelper } from './serve-helper.ts'

const TIMES = { idle: 60_000, lives: 60_000, looks: 20, asks: 5_000 }
const ended: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end()
  vi.unstubAllEnvs()
})

/** A helper in this process, over a folder with history files, which need no server to be made. */
async function place(times = TIMES) {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-helper-'))
  ended.push(() => rmSync(folder, { recursive: true, force: true }))
  vi.stubEnv('TMPDIR', folder)
  const config = join(folder, 'salvor.yaml')
  writeFileSync(
    config,
    `stores: { local: { kind: local, path: ./backups } }
sources: { clinic: { engine: postgres, url: "postgres://nobody@127.0.0.1:1/none", schedule: { full: "0 2 * * 0" } } }\n`,
    { mode: 0o600 },
  )
  mkdirSync(join(folder, 'pg_wal/archive_status'), { recursive: true })
  const file = (timeline: number): string => {
    const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
    const path = join(folder, 'pg_wal', name)
    writeFileSync(path, `1\t0/${timeline}000000\tno recovery target specified\n`)
    writeFileSync(join(folder, 'pg_wal/archive_status', `${name}.ready`), '')
    return path
  }
  const at = helperPlace(config)
  await ownFolder(at.folder)
  const runtime = await openForCommand({ config, json: false })
  ended.push(async () => await runtime[Symbol.asyncDispose]())
  const stop = new AbortController()
  let over = false
  const serving = new WalHelper(runtime, at, stop.signal, times)
    .serve(async () => undefined)
    .finally(() => (over = true))
  await until(() => existsSync(at.socket))
  ended.push(async () => {
    stop.abort()
    await serving
  })
  const ask = (changes: Partial<HelperRequest>) =>
    askHelper({ ...requestOf('push', [], { config, json: false }), ...changes })
  return {
    folder,
    config,
    file,
    ask,
    socket: at.socket,
    push: (path: string) => ask({ words: [path] }),
    get: (name: string) => ask({ verb: 'get', words: [name, join(folder, 'got')] }),
    isOver: () => over,
    stored: () =>
      readdirSync(join(folder, 'backups/clinic/wal'), { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.json'),
      ),
  }
}

async function until(look: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !look(); n++) await sleep(10)
  expect(look()).toBe(true)
}

test('what comes next is stored ahead, and acknowledged at its own call while it is the file that was read', async () => {
  const helper = await place()
  const files = [2, 3, 4, 5].map(helper.file)
  await sleep(2_100)
  const [first = '', second = '', third = '', fourth = ''] = files
  expect(await helper.push(first)).toMatchObject({ exit: 0, stdout: expect.not.stringContaining('ahead') })
  await until(() => helper.stored().length === 4)
  expect((await helper.push(second))?.stdout).toContain('ahead of its call')
  // The same bytes again, which nobody can tell without reading them.
  utimesSync(third, 1, 1)
  expect(await helper.push(third)).toMatchObject({ exit: 0, stdout: expect.not.stringContaining('ahead') })
  writeFileSync(fourth, '1\t0/7000000\tanother history\n')
  expect(await helper.push(fourth), 'the caller finds out and tells').toBeNull()
})

test('two calls for one file at once are both done', async () => {
  const helper = await place()
  const file = helper.file(2)
  const both = await Promise.all([helper.push(file), helper.push(file)])
  expect(both.map((each) => each?.exit)).toEqual([0, 0])
  expect(helper.stored()).toHaveLength(1)
})

test('a file that no store has is told, and is no reason to end', async () => {
  const helper = await place()
  await helper.push(helper.file(2))
  expect(await helper.get('00000009.history')).toMatchObject({
    exit: 1,
    stderr: expect.stringContaining('is not stored'),
  })
  expect(await helper.get('00000002.history')).toMatchObject({ exit: 0 })
  expect(existsSync(join(helper.folder, 'got'))).toBe(true)
})

test('a call from another environment is left to itself, and the helper stays', async () => {
  const helper = await place()
  const file = helper.file(2)
  expect(await helper.ask({ words: [file], environment: ['CLINIC_URL=postgres://other/'] })).toBeNull()
  expect(await helper.push(file)).not.toBeNull()
})

test('a call from another version of Salvor, another configuration or a catalog that is gone end the helper', async () => {
  for (const happens of [
    (helper: Awaited<ReturnType<typeof place>>) =>
      helper.ask({ main: '/opt/salvor-2/main.js', words: [helper.file(2)] }),
    (helper: Awaited<ReturnType<typeof place>>) => {
      appendFileSync(helper.config, '# changed\n')
      return helper.push(helper.file(2))
    },
    (helper: Awaited<ReturnType<typeof place>>) => {
      rmSync(join(helper.folder, 'salvor-data/catalog.db'))
      return helper.push(helper.file(2))
    },
  ]) {
    const helper = await place()
    expect(await happens(helper)).toBeNull()
    await until(helper.isOver)
    expect(existsSync(helper.socket)).toBe(false)
    expect(existsSync(join(helper.folder, 'backups/clinic/wal'))).toBe(false)
  }
})

test('a helper that nobody asks ends, as does one that nobody can reach', async () => {
  const idle = await place({ ...TIMES, idle: 100 })
  await until(idle.isOver)
  expect(existsSync(idle.socket)).toBe(false)
  const lost = await place()
  rmSync(lost.socket)
  await until(lost.isOver)
})

test('a caller that says nothing, or does not read its answer, keeps no helper from ending', async () => {
  const helper = await place({ ...TIMES, idle: 300, asks: 500 })
  const mute = createConnection(helper.socket)
  const deaf = createConnection(helper.socket, () => {
    deaf.pause()
    deaf.write(packRequest(requestOf('push', [helper.file(2)], { config: helper.config, json: false })))
  })
  ended.push(() => [mute, deaf].forEach((each) => each.on('error', () => undefined).destroy()))
  await until(() => existsSync(join(helper.folder, 'backups/clinic/wal')) && helper.stored().length === 1)
  await until(helper.isOver)
  expect(existsSync(helper.socket)).toBe(false)
})

test('what is no request is not answered, and half of one keeps nobody waiting', async () => {
  const helper = await place()
  const sent = (bytes: string): Promise<string> =>
    new Promise((resolve) => {
      let got = ''
      const connection = createConnection(helper.socket, () => connection.end(bytes))
      connection.on('data', (data: Buffer) => (got += data.toString()))
      connection.on('error', () => undefined).on('close', () => resolve(got))
    })
  expect(await sent('GET / HTTP/1.1\r\n\r\n')).toBe('')
  expect(await sent('99999999999\0')).toBe('')
  expect(await sent('20\0half')).toBe('')
  expect(await helper.push(helper.file(2))).toMatchObject({ exit: 0 })
})
