import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { parseHistory } from '@salvor/shared/vocabulary/timeline-history'
import { createClinicPg, startPgWriter } from '@salvor/testkit/real/postgres-load'
import { POSTGRES_MAJORS, startPostgres, startStandby, type RealPostgres } from '@salvor/testkit/real/postgres'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { probe } from '../probe.ts'
import { CheckedRecords } from './checked-records.ts'
import { WalRecords } from './records.ts'
import { MemorySink, startStream, until, walEnvironment } from './stream.fixture.ts'

const SETTINGS = { max_slot_wal_keep_size: '1GB', wal_keep_size: '512MB', max_wal_size: '1GB' }
const SMALL = ['--wal-segsize=1']

const wal = async (server: RealPostgres): Promise<bigint> =>
  lsnValue(String((await server.query('SELECT pg_current_wal_flush_lsn()::text AS at'))[0]!['at']))

/** Everything that the server has flushed by now is stored. */
async function caughtUp(server: RealPostgres, sink: MemorySink): Promise<void> {
  const end = await wal(server)
  await until('the stream to be level', () => sink.resume !== null && lsnValue(sink.resume.lsn) >= end)
}

async function expectSameAsServer(server: RealPostgres, sink: MemorySink): Promise<number> {
  let compared = 0
  for (const { name } of sink.segments) {
    const file = join(server.dataDir, 'pg_wal', name)
    if (!existsSync(file)) continue
    expect(readFileSync(file).equals(sink.pieces.get(name)!.bytes), name).toBe(true)
    compared++
  }
  return compared
}

describe.each(POSTGRES_MAJORS)('PostgreSQL %i', (major) => {
  test('segments come byte for byte, the tip within seconds, and nothing is acknowledged that is not stored', async () => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major, settings: SETTINGS, initdb: SMALL })
    await createClinicPg(server.url, { rows: 2000 })
    const sink = new MemorySink()
    await using stream = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool'))
    await until(
      'the slot',
      async () => (await server.query('SELECT 1 FROM pg_replication_slots WHERE active')).length > 0,
    )
    await using writer = startPgWriter(server.url, { tps: 1000 })
    await until('two segments', () => sink.segments.length >= 2)
    for (let n = 0; n < 5; n++) {
      const [slot] = await server.query('SELECT restart_lsn::text AS at FROM pg_replication_slots')
      expect(lsnValue(String(slot!['at'])) <= lsnValue(sink.resume!.lsn)).toBe(true)
    }
    await writer.stop()
    await server.query("SELECT pg_create_restore_point('before the import')")
    // A restore point is not flushed by itself; the commit behind it is.
    await server.query('CREATE TABLE behind_it ()')
    await caughtUp(server, sink)
    expect(await expectSameAsServer(server, sink)).toBeGreaterThanOrEqual(2)
    const all = [...sink.pieces.values()].map(({ piece }) => piece)
    expect(all.flatMap(({ restore_points }) => restore_points.map(({ name }) => name))).toContain('before the import')
    expect(sink.segments.at(-1)!.last_commit_at).not.toBeNull()
    await until('a quiet server to be vouched for', () => sink.seen?.current_at ?? null)
    expect(Math.abs(Date.parse(sink.seen!.current_at!) - Date.now())).toBeLessThan(10_000)
    await until('the slot to follow', async () => {
      const [slot] = await server.query('SELECT restart_lsn::text AS at FROM pg_replication_slots')
      return lsnValue(String(slot!['at'])) === lsnValue(sink.resume!.lsn)
    })
    expect(await Promise.race([stream.ended, Promise.resolve('running')])).toBe('running')
    expectHoldsUpToDamage(sink.pieces.get(sink.segments[1]!.name)!.bytes, lsnValue(sink.segments[1]!.start_lsn!))
  })
})

/** Of a segment that was cut, or lost its end with the power, all is believed up to there, and nothing beyond. */
function expectHoldsUpToDamage(segment: Buffer, start: bigint): void {
  const end = (bytes: Buffer): number => {
    const records = new CheckedRecords(start, segment.length)
    for (let at = 0; at < bytes.length; at += 10_007) records.push(bytes.subarray(at, at + 10_007))
    return Number(records.end - start)
  }
  for (let at = 20_000; at < segment.length; at += 61_003) {
    const held = end(segment.subarray(0, at))
    // The longest record here is a page image with its headers.
    expect([held <= at, held > at - 12_000]).toEqual([true, true])
    const unwritten = Buffer.concat([segment.subarray(0, held), Buffer.alloc(segment.length - held)])
    // Padding is zeros, too.
    expect(end(unwritten) - held).toBeLessThan(8)
    const flipped = Buffer.from(segment)
    flipped[at]! ^= 4
    // No checksum covers padding.
    expect(at - held < 8 || end(flipped) <= at).toBe(true)
  }
}

test('a stream that was cut anywhere goes on without a hole, also over a restart of the server', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 17, settings: SETTINGS, initdb: SMALL })
  await createClinicPg(server.url, { rows: 500 })
  const sink = new MemorySink()
  await using writer = startPgWriter(server.url, { tps: 400 })
  const ends: unknown[] = []
  for (let round = 0; round < 6; round++) {
    await using stream = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool'))
    const had = sink.resume === null ? 0n : lsnValue(sink.resume.lsn)
    await until('some progress', () => sink.resume !== null && lsnValue(sink.resume.lsn) > had + 300_000n)
    if (round === 2) await server.restart('fast')
    const ended = round === 2 ? await stream.ended : await stream.stop()
    if (round === 2) ends.push(ended)
  }
  await writer.stop()
  expect(ends).toMatchObject([{ code: 'SOURCE_BROKE_OFF', retryable: true }])
  await using last = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool'))
  await caughtUp(server, sink)
  expect(sink.gaps).toEqual([])
  expect(await expectSameAsServer(server, sink)).toBeGreaterThanOrEqual(2)
  const starts = sink.segments.map(({ start_lsn }) => lsnValue(start_lsn!)).toSorted((a, b) => (a < b ? -1 : 1))
  expect(starts.every((start, n) => n === 0 || start === starts[n - 1]! + (1n << 20n))).toBe(true)
  await last.stop()
})

test('while the store is away the spool fills to its bound, the server keeps the rest, and nothing is lost', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 17, settings: SETTINGS, initdb: SMALL })
  await createClinicPg(server.url, { rows: 10 })
  const sink = new MemorySink()
  let away = false
  sink.before = () => {
    if (away) throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
  }
  const spool = join(folder.path, 'spool')
  await using stream = startStream(walEnvironment(server.url, folder.path, { spoolBytes: 3e6 }), sink, spool)
  await until('a first piece', () => sink.resume)
  away = true
  const before = lsnValue(sink.resume!.lsn)
  await server.query('CREATE TABLE filler AS SELECT repeat(md5(n::text), 20) AS t FROM generate_series(1, 20000) AS n')
  const full = await until('the spool to be full', () => (sink.seen?.full ? sink.seen : null))
  expect(full.trouble?.code).toBe('STORE_UNREACHABLE')
  expect(full.spool_bytes).toBeLessThanOrEqual(3e6)
  const [slot] = await server.query('SELECT restart_lsn::text AS at FROM pg_replication_slots')
  expect(lsnValue(String(slot!['at'])) <= before).toBe(true)
  away = false
  await caughtUp(server, sink)
  await until('the trouble to be over', () => sink.seen !== null && !sink.seen.full && sink.seen.trouble === null)
  expect(await expectSameAsServer(server, sink)).toBeGreaterThanOrEqual(8)
  expect(readdirSync(join(spool, sink.resume!.system_id)).filter((name) => !name.endsWith('.partial'))).toEqual([])
  await stream.stop()
})

test('segments in the spool are not lost when the server no longer has them', async () => {
  using folder = temporaryFolder()
  const settings = { ...SETTINGS, wal_keep_size: '0', max_wal_size: '2MB', min_wal_size: '2MB' }
  await using server = await startPostgres({ major: 17, settings, initdb: SMALL })
  await createClinicPg(server.url, { rows: 10 })
  const sink = new MemorySink()
  const spool = join(folder.path, 'spool')
  await using first = startStream(walEnvironment(server.url, folder.path), sink, spool)
  await until('a first piece', () => sink.resume)
  sink.before = () => {
    throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
  }
  await server.query('CREATE TABLE filler AS SELECT repeat(md5(n::text), 20) AS t FROM generate_series(1, 12000) AS n')
  await until('the spool to have it', () => (sink.seen?.spool_bytes ?? 0) > 5e6)
  await first.stop()
  await server.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
  await server.query('SELECT pg_reload_conf(), pg_switch_wal()')
  await server.query('CHECKPOINT')
  sink.before = () => undefined
  await using second = startStream(walEnvironment(server.url, folder.path), sink, spool)
  await until('the spooled segments', () => sink.segments.length >= 5)
  await caughtUp(server, sink)
  expect(sink.segments[0]!.start_lsn).not.toBeNull()
  await second.stop()
})

const NO_SQL = 'host postgres backup 127.0.0.1/32 reject'
const LEAST = { wal_keep_size: '0', max_wal_size: '2MB', min_wal_size: '2MB' }

// Before 15 only SQL tells where a slot begins and of what kind it is: a role that has none must do, too.
test.each([13, 17] as const)(
  'a slot that PostgreSQL %i gave up is made anew, the hole is told with both ends, and no slot of others is touched',
  async (major) => {
    using folder = temporaryFolder()
    const settings = { ...SETTINGS, ...LEAST, max_slot_wal_keep_size: '2MB', wal_level: 'logical' }
    await using server = await startPostgres({ major, settings, initdb: SMALL, hba: [NO_SQL] })
    await createClinicPg(server.url, { rows: 10 })
    await server.query('CREATE ROLE backup LOGIN REPLICATION')
    const url = server.url.replace('postgres@', 'backup@')
    const sink = new MemorySink()
    await using first = startStream(walEnvironment(url, folder.path), sink, join(folder.path, 'spool'))
    await until('a first piece', () => sink.resume)
    await first.stop()
    const end = sink.resume!.lsn
    for (let n = 0; n < 8; n++)
      await server.query("SELECT pg_logical_emit_message(false, 'x', repeat('x', 500000)), pg_switch_wal()")
    await server.query('CHECKPOINT')
    const [lost] = await server.query('SELECT wal_status FROM pg_replication_slots')
    expect(lost!['wal_status']).toBe('lost')
    await using second = startStream(walEnvironment(url, folder.path), sink, join(folder.path, 'spool'))
    await until('the gap', () => sink.gaps.length > 0)
    expect(sink.gaps).toHaveLength(1)
    expect(sink.gaps[0]).toMatchObject({ timeline: 1, from_lsn: end, to_timeline: 1 })
    expect(lsnValue(sink.gaps[0]!.to_lsn)).toBeGreaterThan(lsnValue(end))
    await caughtUp(server, sink)
    await second.stop()
    await server.query("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')")
    await using third = startStream(
      walEnvironment(url, folder.path, { slot: 'theirs' }),
      sink,
      join(folder.path, 'other'),
    )
    expect(await third.ended).toMatchObject({ code: 'WAL_NOT_STREAMED', message: expect.stringContaining('logical') })
    const slots = await server.query('SELECT slot_name, slot_type FROM pg_replication_slots ORDER BY slot_name')
    expect(slots).toEqual([
      { slot_name: 'salvor_clinic', slot_type: 'physical' },
      { slot_name: 'theirs', slot_type: 'logical' },
    ])
  },
)

test.each(process.env['SALVOR_TEST_COUNTS'] === 'full' ? ([14, 17] as const) : ([17] as const))(
  'a failover of PostgreSQL %i is followed without a hole, though worker and primary are lost and only a slot kept the WAL',
  async (major) => {
    using folder = temporaryFolder()
    await using primary = await startPostgres({ major, settings: { ...SETTINGS, ...LEAST }, initdb: SMALL })
    await createClinicPg(primary.url, { rows: 100 })
    await using standby = await startStandby(primary)
    const both = `postgres://postgres@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres?target_session_attrs=read-write`
    const sink = new MemorySink()
    const spool = join(folder.path, 'spool')
    const start = () => startStream(walEnvironment(both, folder.path), sink, spool)
    await using before = start()
    const writer = startPgWriter(primary.url, { tps: 500 })
    await until('a segment', () => sink.segments.length > 0)
    await writer.stop()
    await caughtUp(primary, sink)
    await until('the standby to follow', async () => {
      const [row] = await standby.query('SELECT pg_last_wal_replay_lsn()::text AS at')
      return lsnValue(String(row!['at'])) >= lsnValue(sink.resume!.lsn)
    })
    await until('the slot on the standby to follow', async () => {
      const [slot] = await standby.query('SELECT restart_lsn::text AS at FROM pg_replication_slots')
      return slot !== undefined && String(slot['at']) === sink.resume!.lsn
    })
    // What comes now is in no store yet, and neither server would keep it for itself.
    sink.before = () => {
      throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
    }
    await primary.query(
      'CREATE TABLE filler AS SELECT repeat(md5(n::text), 20) AS t FROM generate_series(1, 12000) AS n',
    )
    await primary.query('CHECKPOINT')
    const end = await wal(primary)
    await until('the standby to follow', async () => {
      const [row] = await standby.query('SELECT pg_last_wal_replay_lsn()::text AS at')
      return lsnValue(String(row!['at'])) >= end
    })
    await standby.query('CHECKPOINT')
    await primary.kill9()
    expect(await before.ended).toMatchObject({ code: 'SOURCE_BROKE_OFF', retryable: true })
    rmSync(spool, { recursive: true })
    sink.before = () => undefined
    await standby.query('SELECT pg_promote()')
    await using after = start()
    await using more = startPgWriter(standby.url, { tps: 500 })
    await until('a segment of the new timeline', () => sink.segments.some(({ timeline }) => timeline === 2))
    await more.stop()
    await caughtUp(standby, sink)
    expect(sink.gaps).toEqual([])
    expect(sink.resume!.timeline).toBe(2)
    const ancestors = parseHistory(sink.pieces.get('00000002.history')!.bytes.toString())
    expect(ancestors.map(({ timeline }) => timeline)).toEqual([1])
    const reached = (timeline: number) =>
      [...sink.pieces.values()]
        .filter(({ piece }) => piece.timeline === timeline && piece.start_lsn !== null)
        .map(({ piece }) => ({ from: lsnValue(piece.start_lsn!), to: lsnValue(piece.end_lsn!) }))
    const switched = ancestors[0]!.end
    expect(reached(1).some(({ to }) => to >= switched)).toBe(true)
    expect(reached(2).some(({ from, to }) => from <= switched && to > switched)).toBe(true)
    expect(await expectSameAsServer(standby, sink)).toBeGreaterThanOrEqual(1)
    await after.stop()
  },
)

test('a server without a bound for slots is left alone, unless that was accepted', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 17 })
  const sink = new MemorySink()
  await using refused = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool'))
  expect(await refused.ended).toMatchObject({
    code: 'WAL_NOT_STREAMED',
    hint: expect.stringContaining('max_slot_wal_keep_size'),
  })
  expect(await server.query('SELECT * FROM pg_replication_slots')).toEqual([])
  const told = async (unboundedSlot: boolean) =>
    (await probe(walEnvironment(server.url, folder.path, { unboundedSlot }), new AbortController().signal)).not_streamed
  expect((await told(false))?.fix).toContain('max_slot_wal_keep_size')
  expect(await told(true)).toBeUndefined()
  await using accepted = startStream(
    walEnvironment(server.url, folder.path, { unboundedSlot: true }),
    sink,
    join(folder.path, 'spool'),
  )
  expect(await until('a first piece', () => sink.resume)).not.toBeNull()
  await accepted.stop()
})

test('of two streams on one slot the second is told that it is busy, and the first goes on', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 17, settings: SETTINGS })
  const sink = new MemorySink()
  await using first = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool-1'))
  await until('a first piece', () => sink.resume)
  await using second = startStream(
    walEnvironment(server.url, folder.path),
    new MemorySink(),
    join(folder.path, 'spool-2'),
  )
  expect(await second.ended).toMatchObject({
    code: 'WAL_SLOT_BUSY',
    retryable: true,
    message: expect.stringMatching(/slot "salvor_clinic" is active for PID \d+/),
  })
  await server.query("SELECT pg_logical_emit_message(false, 'x', 'still there')")
  await caughtUp(server, sink)
  expect(await Promise.race([first.ended, Promise.resolve('running')])).toBe('running')
})

test('another cluster under the same name is refused before a byte is stored', async () => {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major: 17, settings: SETTINGS })
  const sink = new MemorySink()
  const resume = { system_id: '42', timeline: 1, lsn: '0/1000000' }
  await using stream = startStream(walEnvironment(server.url, folder.path), sink, join(folder.path, 'spool'), {
    resume,
  })
  expect(await stream.ended).toMatchObject({
    code: 'WAL_NOT_STREAMED',
    message: expect.stringContaining('another cluster'),
  })
  expect(sink.pieces.size).toBe(0)
})

/** Transactions whose commit is in what was stored, which must be without a hole. */
function committedIn({ pieces }: MemorySink): Set<number> {
  const ranged = [...pieces.values()].flatMap(({ piece: { start_lsn, end_lsn }, bytes }) =>
    start_lsn === null ? [] : [{ start: lsnValue(start_lsn), end: lsnValue(end_lsn!), bytes }],
  )
  ranged.sort((a, b) => (a.start < b.start || (a.start === b.start && a.end < b.end) ? -1 : 1))
  const [first] = ranged
  const end = ranged.map((piece) => piece.end).reduce((a, b) => (a > b ? a : b))
  const all = Buffer.alloc(Number(end - first!.start))
  let reached = first!.start
  for (const piece of ranged) {
    expect(piece.start <= reached).toBe(true)
    piece.bytes.copy(all, Number(piece.start - first!.start))
    if (piece.end > reached) reached = piece.end
  }
  const found = new Set<number>()
  const commit = (_at: string, _position: bigint, xid: number): void => void found.add(xid)
  new WalRecords(first!.start, 1 << 20, { commit, restorePoint: () => undefined }).push(all)
  return found
}

test.each(['store', 'spool'] as const)(
  'no commit that waited for the %s is lost when the primary is destroyed at any moment, and the worker with it',
  async (acknowledge) => {
    for (let round = 0; round < (process.env['SALVOR_TEST_COUNTS'] === 'full' ? 10 : 1); round++) {
      using folder = temporaryFolder()
      await using server = await startPostgres({ major: 17, settings: SETTINGS, initdb: SMALL })
      await createClinicPg(server.url, { rows: 100 })
      await server.query('CREATE TABLE marks (n int)')
      const sink = new MemorySink()
      const env = walEnvironment(server.url, folder.path, { synchronous: true, acknowledge, tailMs: 60_000 })
      await using stream = startStream(env, sink, join(folder.path, 'spool'))
      const advice = async () => (await probe(env, new AbortController().signal)).notices.join()
      expect(await advice()).toContain(
        "no commit waits for Salvor: ALTER SYSTEM SET synchronous_standby_names = 'salvor_clinic'",
      )
      await server.query("ALTER SYSTEM SET synchronous_standby_names = 'salvor_clinic'")
      await server.query('SELECT pg_reload_conf()')
      await until('a synchronous standby', async () => {
        const [seen] = await server.query('SELECT sync_state FROM pg_stat_replication')
        return sink.resume !== null && seen?.['sync_state'] === 'sync'
      })
      expect(await advice()).not.toContain('wal.synchronous')
      const writer = startPgWriter(server.url, { tps: 300 })
      const acknowledged: number[] = []
      const marking = (async () => {
        for (let n = 0; ; n++) {
          const [row] = await server.query(
            `INSERT INTO marks VALUES (${n}) RETURNING pg_current_xact_id()::text AS xid`,
          )
          acknowledged.push(Number(row!['xid']))
        }
      })().catch(() => undefined)
      await until('some commits', () => acknowledged.length > 20)
      await sleep(1000 * Math.random())
      await server.kill9()
      rmSync(server.dataDir, { recursive: true })
      await Promise.all([stream.stop(), marking])
      await writer.stop().catch(() => undefined)
      await using next = startStream(env, sink, join(folder.path, 'spool'))
      expect(await next.ended).toMatchObject({ code: 'SOURCE_UNREACHABLE' })
      const committed = committedIn(sink)
      expect(acknowledged.filter((xid) => !committed.has(xid))).toEqual([])
    }
  },
)
