import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { startPostgres, type PostgresMajor, type RealPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { MemorySink, startStream, until, walEnvironment, type RunningStream } from './stream.fixture.ts'

const LEAST = { wal_keep_size: '0', max_wal_size: '2MB', min_wal_size: '2MB', max_slot_wal_keep_size: '4MB' }
const SMALL = ['--wal-segsize=1']
const ALL: readonly PostgresMajor[] = [13, 15, 17, 18]
const majors = (one: PostgresMajor): readonly PostgresMajor[] =>
  process.env['SALVOR_TEST_COUNTS'] === 'full' ? ALL : [one]

/** Goes on as the worker does: a stream that broke off and may be tried again begins anew. */
function keepStreaming(start: () => RunningStream): AsyncDisposable & { readonly ends: SalvorError[] } {
  const ends: SalvorError[] = []
  let running = start()
  let over = false
  const going = (async () => {
    for (;;) {
      const ended = await running.ended
      if (over) return
      ends.push(ended as SalvorError)
      if (!(ended instanceof SalvorError && ended.retryable)) return
      await sleep(100)
      if (over) return
      running = start()
    }
  })()
  const stop = async (): Promise<void> => {
    over = true
    await running.stop()
    await going
  }
  return { ends, [Symbol.asyncDispose]: stop }
}

async function write(server: RealPostgres, megabytes: number): Promise<void> {
  for (let n = 0; n < megabytes; n++)
    await server.query("SELECT pg_logical_emit_message(false, 'x', repeat('x', 500000)), pg_switch_wal()")
  await server.query('CHECKPOINT')
}

/** The last that was written is stored, without a hole behind `from`. */
async function caughtUp(server: RealPostgres, sink: MemorySink): Promise<void> {
  await server.query("SELECT pg_logical_emit_message(true, 'x', 'the last')")
  const [row] = await server.query('SELECT pg_current_wal_flush_lsn()::text AS at')
  const end = lsnValue(String(row!['at']))
  await until('the stream to be level', () => sink.resume !== null && lsnValue(sink.resume.lsn) >= end)
}

test.each(majors(13))(
  'a slot that PostgreSQL %i gives up in the middle of a connection is made anew, and the hole is told once with both ends',
  async (major) => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major, settings: LEAST, initdb: SMALL })
    const sink = new MemorySink()
    let away = false
    sink.before = () => {
      if (away) throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
    }
    const env = walEnvironment(server.url, folder.path, { spoolBytes: 2e6 })
    await using stream = keepStreaming(() => startStream(env, sink, join(folder.path, 'spool')))
    await until('a first piece', () => sink.resume)
    away = true
    await write(server, 12)
    // The server ends the connection by itself, as soon as it gives the slot up.
    await until('the slot to be given up', async () => {
      await write(server, 1)
      const [slot] = await server.query('SELECT wal_status, active FROM pg_replication_slots')
      return slot!['wal_status'] === 'lost' || stream.ends.length > 0
    })
    // A new one is there though no store takes anything yet: the hole ends where it begins.
    const renewed = await until('a new slot', async () => {
      const [slot] = await server.query(
        'SELECT restart_lsn::text AS at, wal_status AS status FROM pg_replication_slots',
      )
      return slot !== undefined && slot['status'] !== 'lost' && String(slot['at'])
    })
    await write(server, 2)
    expect(sink.gaps).toEqual([])
    away = false
    await until('the gap', () => sink.gaps.length > 0)
    const [gap] = sink.gaps
    expect(gap).toMatchObject({ timeline: 1, to_timeline: 1 })
    expect(lsnValue(gap!.to_lsn)).toBeGreaterThan(lsnValue(gap!.from_lsn))
    expect(lsnValue(gap!.to_lsn)).toBeLessThanOrEqual(lsnValue(renewed))
    await caughtUp(server, sink)
    expect(sink.gaps).toHaveLength(1)
    expect(stream.ends.map(({ code }) => code).filter((code) => code !== 'SOURCE_BROKE_OFF')).toEqual([])
    const slots = await server.query('SELECT slot_name, active FROM pg_replication_slots')
    expect(slots).toEqual([{ slot_name: 'salvor_clinic', active: true }])
  },
  60_000,
)

test.each(majors(18))(
  'a slot of PostgreSQL %i that somebody drops under a stream costs nothing while the WAL is there, else a hole that is told',
  async (major) => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major, settings: LEAST, initdb: SMALL })
    const sink = new MemorySink()
    const env = walEnvironment(server.url, folder.path)
    const store = { blocked: false }
    const start = (): RunningStream => startStream(env, sink, join(folder.path, 'spool'))
    sink.before = async () => {
      while (store.blocked) await sleep(50)
    }
    const drop = async (): Promise<void> => {
      // A slot in use cannot be dropped: whoever does it ends the stream first, and is quicker than the next one.
      await until('the slot to be dropped', async () => {
        const sql = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL`
        await server.query(sql)
        return server.query("SELECT pg_drop_replication_slot('salvor_clinic')").then(
          () => true,
          () => false,
        )
      })
    }
    await using stream = keepStreaming(start)
    await until('a first piece', () => sink.resume)
    await drop()
    await caughtUp(server, sink)
    expect(sink.gaps).toEqual([])
    // Nothing is stored any more, and nothing keeps the WAL: what comes meanwhile is gone.
    store.blocked = true
    await server.query("SELECT pg_logical_emit_message(true, 'x', 'waits')")
    await drop()
    await stream[Symbol.asyncDispose]()
    await server.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active')
    await write(server, 8)
    store.blocked = false
    const from = lsnValue(sink.resume!.lsn)
    await using again = keepStreaming(start)
    await until('the gap', () => sink.gaps.length > 0)
    expect(lsnValue(sink.gaps[0]!.from_lsn)).toBeGreaterThanOrEqual(from)
    await caughtUp(server, sink)
    expect(sink.gaps).toHaveLength(1)
    expect(again.ends).toEqual([])
  },
  60_000,
)
