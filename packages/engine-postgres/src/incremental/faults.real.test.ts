import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileSink, never, temporaryFolder } from '../engine.fixture.ts'
import { ChainOfBackups, nativeMeans } from './chain.fixture.ts'
import { takeChanges } from './take.ts'

const { start, versionGates } = nativeMeans(17)
const always = { skipUnchanged: false }

describe('an incremental that cannot be', () => {
  const folder = temporaryFolder()
  let server: RealPostgres
  const chainOn = (incrementals: 'auto' | 'native' | 'pages' = 'auto') =>
    new ChainOfBackups(server.url, folder.path, { versionGates, incrementals })
  beforeAll(async () => {
    const settings = { summarize_wal: 'on', wal_summary_keep_time: '1h' }
    server = await startPostgres({ major: 17, initdb: ['--data-checksums'], settings, ...start })
    await server.query(
      'CREATE TABLE patients AS SELECT g AS id, repeat($$x$$, 500) AS t FROM generate_series(1, 20000) g',
    )
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const set = async (name: string, value: string): Promise<void> => {
    await server.query(`ALTER SYSTEM SET ${name} = '${value}'`)
    await server.query('SELECT pg_reload_conf()')
  }
  const fullNeeded = (reason: RegExp) =>
    expect.objectContaining({ code: 'FULL_NEEDED', message: expect.stringMatching(reason) }) as unknown

  test('summaries with a hole: the server says so, and nothing was sent', async () => {
    const chain = chainOn()
    await chain.full()
    await set('summarize_wal', 'off')
    await expect.poll(() => server.query('SHOW summarize_wal')).toEqual([{ summarize_wal: 'off' }])
    await server.query('SELECT pg_switch_wal()')
    await server.query('CHECKPOINT')
    await expect(chain.increment()).rejects.toEqual(fullNeeded(/summarize_wal is off/))
    const summaries = join(server.dataDir, 'pg_wal', 'summaries')
    for (const name of readdirSync(summaries)) rmSync(join(summaries, name))
    await server.query('SELECT pg_switch_wal()')
    await server.query('CHECKPOINT')
    await set('summarize_wal', 'on')
    await expect.poll(() => server.query('SHOW summarize_wal')).toEqual([{ summarize_wal: 'on' }])
    await expect(chain.increment()).rejects.toEqual(fullNeeded(/summar/i))
    await chain.full()
  })

  test('another cluster than the parent’s, and digests that are none', async () => {
    const chain = chainOn()
    const { id, facts, digests } = await chain.full()
    const { consistent_at, engine_facts } = facts
    const nothing = () => Promise.reject(new Error('something was sent'))
    const take = async (parent: Partial<Parameters<typeof takeChanges>[1]>) => {
      using sink = fileSink(join(folder.path, 'none.tar'), nothing)
      const whole = { id, consistent_at, engine_facts, digests, ...parent }
      return await takeChanges(chain.env(), whole, sink, never, always)
    }
    await expect(take({ engine_facts: { ...engine_facts, system_id: '1' } })).rejects.toEqual(fullNeeded(/identifier/))
    const damaged = join(folder.path, 'damaged.digests')
    writeFileSync(damaged, readFileSync(digests).subarray(0, 50))
    await expect(take({ digests: damaged })).rejects.toEqual(fullNeeded(/digests of the parent/))
    writeFileSync(damaged, '{"format":"other"}\n')
    await expect(take({ digests: damaged })).rejects.toEqual(fullNeeded(/form/))
    // A manifest that is not the server's: the server refuses it.
    const bytes = readFileSync(digests)
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 300) ^ 1, bytes.length - 300)
    writeFileSync(damaged, bytes)
    await expect(take({ digests: damaged })).rejects.toEqual(fullNeeded(/manifest/))
  })

  test.each(['native', 'pages'] as const)('broken off (%s) it is none, and may be tried again', async (kind) => {
    const chain = chainOn(kind)
    const { id, facts, digests } = await chain.full()
    await server.query('UPDATE patients SET t = t || $$z$$')
    const parent = { id, ...facts, digests }
    const blow = async (strike: () => Promise<unknown>, signal = never) => {
      let struck: Promise<unknown> | null = null
      using sink = fileSink(join(folder.path, 'broken.tar'), (bytes) => {
        if (bytes < 1_000_000 || struck) return undefined
        struck = strike()
        return struck.then(() => undefined)
      })
      return await takeChanges(chain.env(), parent, sink, signal, always).then(
        () => null,
        (error: unknown) => error,
      )
    }
    expect(await blow(() => server.kill9())).toMatchObject({ code: 'SOURCE_BROKE_OFF', retryable: true })
    await server.start()
    const full = new SalvorError('STORE_FULL', { store: 'local' })
    expect(await blow(() => Promise.reject(full))).toBe(full)
    const abort = new AbortController()
    const lost = new SalvorError('LEASE_LOST', { run: 'r' })
    expect(await blow(() => Promise.resolve(abort.abort(lost)).then(() => sleep(20)), abort.signal)).toBe(lost)
    await chain.increment()
  })

  test('a chain with a link missing, out of order or damaged puts nothing in place', async () => {
    const chain = chainOn('native')
    await chain.full()
    for (const n of [1, 2, 3]) {
      await server.query(`UPDATE patients SET t = 'n${n}' WHERE id % 10 = ${n}`)
      await chain.increment()
    }
    const home = join(folder.path, 'home')
    mkdirSync(home)
    const refused = async (change: (links: ChainOfBackups['links']) => void, reason: RegExp) => {
      const other = chainOn('native')
      other.links.push(...chain.links)
      change(other.links)
      await expect(other.restore(join(home, 'data'))).rejects.toMatchObject({
        code: 'RESTORE_FAILED',
        message: expect.stringMatching(reason),
      })
      expect(readdirSync(home)).toEqual([])
    }
    await refused((links) => links.splice(2, 1), /the chain is broken/)
    await refused((links) => links.splice(2, 2, links[3]!, links[2]!), /the chain is broken/)
    await refused((links) => links.shift(), /begins with an increment|broken/)
    const { file } = chain.links[2]!
    const good = readFileSync(file)
    const flipped = (at: number, by: number) => {
      const bytes = Buffer.from(good)
      bytes.writeUInt8(bytes.readUInt8(at) ^ by, at)
      writeFileSync(file, bytes)
    }
    const magic = good.indexOf(Buffer.from([0x0d, 0x1f, 0xae, 0xd3]))
    flipped(magic, 1)
    await refused(() => undefined, /magic number/)
    flipped(magic + 4, 1)
    await refused(() => undefined, /wrong size|larger/)
    const page = good.lastIndexOf('n2') - 10
    flipped(page, 1)
    await refused(() => undefined, /backup-2: .* does not match its checksum/)
    writeFileSync(file, good.subarray(0, good.length - 50_000))
    await refused(() => undefined, /ends too early/)
    writeFileSync(file, good)
    await chain.restore(join(home, 'data'))
    expect(existsSync(join(home, 'data', 'PG_VERSION'))).toBe(true)
  })
})
