import { POSTGRES_MAJORS, startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { clinicState, createClinicPg, startPgWriter, CLINIC_PG_CHECKS } from '@salvor/testkit/real/postgres-load'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { SOURCE_CHECK } from '@salvor/shared/vocabulary/verification'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backUp, contentOf, engineOf, environmentOf, fileSink, never, temporaryFolder } from './engine.fixture.ts'
import { snapshot } from './snapshot.ts'

const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup'

describe.each(POSTGRES_MAJORS)('a base backup of PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  const target = join(folder.path, 'restored')
  let server: RealPostgres
  let facts: SnapshotFacts
  const engine = () => engineOf(server.url, folder.path)
  beforeAll(async () => {
    server = await startPostgres({ major, initdb: ['--data-checksums'] })
    await createClinicPg(server.url, { rows: 20_000 })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  test('taken while others write comes back whole, with all that was acknowledged before', async () => {
    await using writer = startPgWriter(server.url, { tps: 500 })
    while (writer.acknowledged < 50) await sleep(10)
    const before = writer.lastVisit
    facts = await backUp(engine(), file)
    await writer.stop()
    expect(facts.engine_facts).toMatchObject({ data_checksums: true, pages_verified: true, timeline: 1 })
    await expect.poll(() => server.query('SELECT slot_name FROM pg_replication_slots')).toEqual([])

    const request = { target, in_place: false, engine_facts: facts.engine_facts }
    const restored = await engine().restore(contentOf(file, 10_007), request, never)
    expect(restored.recovered_to).toBe(facts.consistent_at)
    expect(restored.checks.filter(({ ok }) => !ok)).toEqual([])
    const kept = `SELECT max(id) >= ${before} FROM visits`
    const checks = await engine().prove(target, [...CLINIC_PG_CHECKS, kept], facts.engine_facts, never)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    expect(checks.map(({ name }) => name)).toEqual([
      'recovery',
      'page checksums',
      'server starts',
      'tables',
      'indexes',
      ...(major >= 14 ? ['heaps'] : []),
      'visibility maps',
      ...[...CLINIC_PG_CHECKS, kept].map((sql) => SOURCE_CHECK + sql),
      'server stops',
    ])
    expect((await clinicState(server.url)).consistent).toBe(true)
  })

  test.skipIf(major > 16 || !existsSync(VERIFY_BACKUP))('satisfies pg_verifybackup of PostgreSQL 15', async () => {
    const copy = join(folder.path, 'verified')
    const request = { target: copy, in_place: false, engine_facts: facts.engine_facts }
    await engine().restore(contentOf(file), request, never)
    const { stdout, stderr } = spawnSync(VERIFY_BACKUP, ['-n', copy], { encoding: 'utf8' })
    expect(stdout + stderr).toContain('backup successfully verified')
  })

  test('opens with tar alone', () => {
    const listed = spawnSync('tar', ['-tf', file], { encoding: 'utf8' })
    expect(listed.stderr).toBe('')
    const names = listed.stdout.trim().split('\n')
    expect(names[0]).toBe('backup_label')
    expect(names.at(-1)).toBe('backup_manifest')
  })

  test('with a damaged page is no backup, though every byte had come', async () => {
    const [row] = await server.query("SELECT pg_relation_filepath('patients') AS path")
    await server.stop()
    const path = join(server.dataDir, String(row?.['path']))
    const bytes = readFileSync(path)
    bytes.writeUInt8(bytes.readUInt8(8192 + 5000) ^ 1, 8192 + 5000)
    writeFileSync(path, bytes)
    await server.start()
    const error = await failed(backUp(engine(), join(folder.path, 'damaged.tar')))
    expect(error.code).toBe('SOURCE_DAMAGED')
  })
})

test('a server newer than the tests know is backed up, with a notice', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 18 })
  await using proxy = await changingProxy(server.port, ['180004', '190004'])
  const engine = engineOf(`postgres://postgres@127.0.0.1:${proxy.port}/postgres`, folder.path)
  const newer: unknown = expect.arrayContaining([expect.stringContaining('newer than what Salvor is tested with')])
  expect((await engine.probe(never)).notices).toEqual(newer)
  expect((await backUp(engine, join(folder.path, 'newer.tar'))).notices).toEqual(newer)
})

describe('a base backup that is broken off', () => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  let server: RealPostgres
  const engine = () => engineOf(server.url, folder.path)
  beforeAll(async () => {
    server = await startPostgres({ major: 17 })
    await createClinicPg(server.url, { rows: 60_000 })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const END_WALSENDERS =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender' AND state = 'active'"
  const BLOWS: [string, () => Promise<unknown>][] = [
    ['pg_terminate_backend', () => server.query(END_WALSENDERS)],
    ['kill -9 of the server', () => server.kill9()],
    ['an immediate stop', () => server.stop('immediate')],
  ]
  test.each(BLOWS)('by %s fails, and may be tried again', async (_name, blow) => {
    let struck: Promise<unknown> | null = null
    using sink = fileSink(file, (bytes) => {
      if (bytes < 500_000 || struck) return undefined
      struck = blow()
      return struck.then(() => undefined)
    })
    const error = await failed(engine().snapshot(sink, never))
    expect(error).toMatchObject({ code: 'SOURCE_BROKE_OFF', retryable: true })
    expect(sink.bytes).toBeLessThan(25_000_000)
    await server.stop()
    await server.start()
  })

  test('by a network that swallows everything ends by itself', async () => {
    await using proxy = await swallowingProxy(server.port, 3_000_000)
    const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
    const env = environmentOf(url, folder.path, { copy_ms: 1500, checkpoint_ms: 20_000 })
    using sink = fileSink(file)
    const error = await failed(snapshot(env, sink, never))
    expect(error).toMatchObject({ code: 'SOURCE_BROKE_OFF', message: expect.stringContaining('no answer') })
  })

  test('by an abort leaves the server at once, its slot too', async () => {
    const abort = new AbortController()
    using sink = fileSink(file, (bytes) => {
      if (bytes > 500_000) abort.abort(new SalvorError('LEASE_LOST', { run: 'r' }))
      return undefined
    })
    const error = await failed(engine().snapshot(sink, abort.signal))
    expect(error.code).toBe('LEASE_LOST')
    await expect
      .poll(() => server.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'"), { timeout: 5000 })
      .toEqual([])
    await expect.poll(() => server.query('SELECT slot_name FROM pg_replication_slots')).toEqual([])
  })

  test('by a store that is full says so in its own words', async () => {
    const full = new SalvorError('STORE_FULL', { store: 'local' })
    using sink = fileSink(file, (bytes) => (bytes > 500_000 ? Promise.reject(full) : undefined))
    expect(await failed(engine().snapshot(sink, never))).toBe(full)
  })

  test('by more WAL than a backup may hold names the settings that change it', async () => {
    let waited = false
    using sink = fileSink(file, (bytes) => {
      if (waited || bytes < 1_000_000) return undefined
      waited = true
      return rollWal(server).then(() => sleep(7000))
    })
    const env = { ...environmentOf(server.url, folder.path), maxWalHold: 1_000_000n }
    const error = await failed(snapshot(env, sink, never))
    expect(error).toMatchObject({ code: 'SOURCE_BROKE_OFF', message: expect.stringContaining('max_wal_hold') })
  })

  test('is none where the server would have removed WAL meanwhile: it is held for the backup', async () => {
    await server.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    await server.query('SELECT pg_reload_conf()')
    let rolled = false
    using sink = fileSink(file, (bytes) => {
      if (rolled || bytes < 500_000) return undefined
      rolled = true
      return rollWal(server)
    })
    const facts = await engine().snapshot(sink, never)
    expect(facts.notices.filter((notice) => notice.includes('WAL'))).toEqual([])
  })
})

/** Several segments and checkpoints: without a slot, the first segment would be gone. */
async function rollWal(server: RealPostgres): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await server.query(
      'CREATE TABLE IF NOT EXISTS filler (n int); INSERT INTO filler VALUES (1); SELECT pg_switch_wal()',
    )
    await server.query('CHECKPOINT')
  }
}

async function failed(promise: Promise<unknown>): Promise<SalvorError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SalvorError)
  return error as SalvorError
}

/** Passes on `limit` bytes of each answer, then nothing, and keeps the connections open. */
function swallowingProxy(port: number, limit: number): Promise<{ port: number } & AsyncDisposable> {
  return proxyTo(port, () => {
    let passed = 0
    return (chunk) => ((passed += chunk.length) < limit ? chunk : null)
  })
}

/** Changes one text into another of the same length, where it comes in one piece. */
function changingProxy(port: number, [from, to]: [string, string]): Promise<{ port: number } & AsyncDisposable> {
  return proxyTo(port, () => (chunk) => Buffer.from(chunk.toString('latin1').replaceAll(from, to), 'latin1'))
}

async function proxyTo(
  port: number,
  answers: () => (chunk: Buffer) => Buffer | null,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const proxy: Server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const pass = answers()
    upstream.on('data', (chunk) => {
      const passed = pass(chunk)
      if (passed !== null) client.write(passed)
    })
    client.on('data', (chunk) => upstream.write(chunk))
    client.on('end', () => upstream.end())
    upstream.on('end', () => client.end())
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    port: (proxy.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}
