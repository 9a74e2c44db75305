import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres, startRestored, type RealPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome, until, type Home } from './salvor.ts'

const FULL = process.env['SALVOR_TEST_COUNTS'] === 'full'
const [KILLS, TARGETS] = FULL ? [100, 200] : [4, 3]
/** Of the killed workers so many lose their disk too. */
const DISK_LOST_EVERY = FULL ? 5 : 2
const seed = Number(process.env['SALVOR_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** Small numbers that look random and are the same for the same seed. */
function random(from: number): () => number {
  let state = from
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** One committed row: the `n`th, and by what a person could name the state right behind it. */
interface Mark {
  readonly xid: string
  readonly lsn: string
  readonly at: string
}

/** Commits numbered rows, one after another, until it is stopped; `stop` rejects where the server went before. */
function startMarks(server: RealPostgres, pauseMs: number, before = 0) {
  const marks: Mark[] = []
  let acknowledged = before
  const stopped = new AbortController()
  const clock = `to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
  const run = (async () => {
    while (!stopped.signal.aborted) {
      const [row] = await server.query(
        `INSERT INTO marks VALUES (${acknowledged + 1}) RETURNING pg_current_xact_id()::text AS xid`,
      )
      acknowledged++
      const [here] = await server.query(`SELECT pg_current_wal_insert_lsn()::text AS lsn, ${clock} AS at`)
      marks.push({ xid: String(row!['xid']), lsn: String(here!['lsn']), at: String(here!['at']) })
      await sleep(pauseMs)
    }
  })()
  run.catch(() => undefined)
  const stop = async (): Promise<void> => {
    stopped.abort()
    await run
  }
  return { marks, stop, acknowledged: () => acknowledged }
}

interface Reached {
  readonly state: string
  readonly xid: string | null
  readonly last_commit_at: string
  readonly timeline: number
}

/** Rows that come back, by a server that Salvor ran to the target and one that was started behind it. */
async function recovered(home: Home, name: string, option: string, value: string): Promise<number> {
  const target = home.path(name)
  const ended = await home.run('restore', 'clinic', '--to', target, option, value, '--start', '--json')
  expect(`${ended.code} ${ended.stderr}`).toMatch(/^0 /)
  const { reached } = ended.json<{ reached: Reached }>()
  expect(reached).toMatchObject({ state: 'promoted', timeline: 2 })
  expect(reached.xid).toBe(option === '--xid' ? value : null)
  expect(reached.last_commit_at <= (option === '--at' ? value : 'latest')).toBe(true)
  await using copy = await startRestored(17, target)
  rmSync(target, { recursive: true })
  expect((await copy.query('SELECT pg_is_in_recovery() AS is'))[0]!['is']).toBe(false)
  return Number((await copy.query('SELECT count(*) AS n FROM marks'))[0]!['n'])
}

interface Window {
  readonly stretches: readonly { latest_at: string }[]
  readonly gaps: readonly unknown[]
}

test(
  `workers killed in mid-stream lose nothing, and any target lands on exactly its transaction (seed ${seed})`,
  { timeout: FULL ? 7200_000 : 240_000 },
  async () => {
    const next = random(seed)
    await using server = await startPostgres({
      major: 17,
      settings: { max_slot_wal_keep_size: '1GB' },
      initdb: ['--wal-segsize=1'],
    })
    await createClinicPg(server.url, { rows: 500 })
    await server.query('CREATE TABLE marks (n int PRIMARY KEY)')
    await using home = await makeHome()
    await home.configure(`stores: { local: { kind: local, path: ./backups } }
sources:
  clinic:
    engine: postgres
    url: "${server.url}"
    schedule: { full: "0 2 * * 0", wal: stream }
    wal: { tail: 1s, synchronous: true }
    verify: { full: none }
`)
    const window = async (): Promise<Window> => (await home.run('window', 'clinic', '--json')).json<Window>()
    let worker = home.service('backup-worker')
    await until('a first backup', async () => (await window()).stretches.length > 0).catch((error) => {
      throw new Error(worker.log().slice(-6000), { cause: error })
    })
    const writer = startMarks(server, 5)
    for (let kill = 1; kill <= KILLS; kill++) {
      await sleep(500 + 2500 * next())
      await worker.kill('SIGKILL')
      if (kill % DISK_LOST_EVERY === 0) rmSync(home.path('salvor-data', 'wal-spool'), { recursive: true, force: true })
      worker = home.service('backup-worker')
    }
    await sleep(2000)
    await writer.stop()
    const { marks } = writer
    const end = marks.at(-1)!
    const seen = await until('all WAL', async () => {
      const now = await window()
      return now.stretches.some(({ latest_at }) => latest_at >= end.at) && now
    })
    expect(seen.gaps).toEqual([])
    expect(seen.stretches).toHaveLength(1)
    expect(await recovered(home, 'latest', '--at', 'latest')).toBe(marks.length)
    for (let target = 0; target < TARGETS; target++) {
      const n = 1 + Math.floor(next() * marks.length)
      const { xid, lsn, at } = marks[n - 1]!
      const [option, value] = (
        [
          ['--xid', xid],
          ['--lsn', lsn],
          ['--at', at],
        ] as const
      )[target % 3]!
      expect(await recovered(home, `target-${target}`, option, value), `${option} ${value} of seed ${seed}`).toBe(n)
    }

    // From now on a commit waits for the store: the server is destroyed in the middle, and all that it acknowledged comes back.
    await server.query("ALTER SYSTEM SET synchronous_standby_names = 'salvor_clinic'")
    await server.query('SELECT pg_reload_conf()')
    const last = startMarks(server, 0, marks.length)
    await until('commits that waited', async () => last.marks.length > 20)
    await sleep(1000 * next())
    await server.kill9()
    rmSync(server.dataDir, { recursive: true })
    await last.stop().catch(() => undefined)
    // The worker is told of the broken link, and stores what is left of it.
    await until('the worker to notice', async () => worker.log().includes('SOURCE_BROKE_OFF'))
    const rows = await recovered(home, 'destroyed', '--at', 'latest')
    // One more may have been committed while nobody was there any more to be told.
    expect([0, 1]).toContain(rows - last.acknowledged())
  },
)
