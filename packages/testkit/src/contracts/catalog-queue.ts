import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import {
  BROKEN,
  CLI,
  deadHolder,
  enqueueCopy,
  livingHolder,
  remoteHolder,
  runningCopy,
  WORKER,
} from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const FUTURE = '2100-01-01T00:00:00.000000Z'
const COPIES = ['replicate-copy'] as const

/** What the queue is given, and what is given back when the queue or a process has lost it. */
export function queueContract(open: OpenCatalog): void {
  test('each turn of a run is put into the queue once', async () => {
    await using place = await open()
    const { catalog } = place
    const unsent = async () => (await catalog.unsentRuns(COPIES, 10)).map(({ id, turn }) => ({ id, turn }))
    const run = await enqueueCopy(catalog, { pool: 'east', not_before: FUTURE })
    const [first] = await catalog.unsentRuns(COPIES, 10)
    expect(first).toEqual({ id: run.id, job: 'replicate-copy', pool: 'east', turn: first!.turn, not_before: FUTURE })
    await catalog.markRunsSent(await unsent())
    expect(await unsent()).toEqual([])
    const taken = await runningCopy(catalog, livingHolder())
    const turns = await unsent()
    expect(turns).toEqual([])
    await catalog.transaction(WORKER, (tx) => tx.endRun(taken.id, 1, { kind: 'again', not_before: FUTURE }))
    const [second] = await unsent()
    expect(second?.id).toBe(taken.id)
    await catalog.markRunsSent([{ id: taken.id, turn: second!.turn - 1 }])
    expect(await unsent()).toEqual([second])
    await catalog.markRunsSent([second!])
    expect(await unsent()).toEqual([])
  })

  test('runs of other jobs are not for this queue, and the limit holds', async () => {
    await using place = await open()
    const { catalog } = place
    for (let index = 0; index < 3; index += 1) await enqueueCopy(catalog)
    expect(await catalog.unsentRuns(['plan-tick', 'verify-copy'], 10)).toEqual([])
    expect(await catalog.unsentRuns([], 10)).toEqual([])
    expect(await catalog.unsentRuns(['plan-tick', 'replicate-copy'], 2)).toHaveLength(2)
  })

  test('due runs are those of the jobs and pools that are asked for, the oldest first', async () => {
    await using place = await open()
    const { catalog } = place
    const now = await catalog.now()
    const plain = await enqueueCopy(catalog, { not_before: now })
    const east = await enqueueCopy(catalog, { pool: 'east', not_before: '2020-01-01T00:00:00.000000Z' })
    const west = await enqueueCopy(catalog, { pool: 'west', correlation_id: 'story', not_before: now })
    await enqueueCopy(catalog, { not_before: FUTURE })
    const due = (pools: readonly (string | null)[], more: object = {}) =>
      catalog.dueRuns({ jobs: COPIES, pools, limit: 10, ...more })
    expect(await due([null])).toEqual([plain.id])
    expect(await due(['east'])).toEqual([east.id])
    expect(await due([null, 'east', 'west'])).toEqual([east.id, plain.id, west.id])
    expect(await due([null, 'east', 'west'], { limit: 1 })).toEqual([east.id])
    expect(await due([null, 'west'], { correlation_id: 'story' })).toEqual([west.id])
    expect(await due([])).toEqual([])
    expect(await due([null], { jobs: ['plan-tick'] })).toEqual([])
  })

  test('a run whose lease ran out goes back to the queue, with a failure that says why', async () => {
    await using place = await open()
    const { catalog } = place
    const lost = await runningCopy(catalog, remoteHolder(), -1000)
    const alive = await runningCopy(catalog, livingHolder())
    await catalog.markRunsSent(await catalog.unsentRuns(COPIES, 10))
    expect(await catalog.reconcile(60_000)).toEqual({ requeued: 1, resent: 0 })
    expect(await catalog.run(lost.id)).toMatchObject({
      state: 'queued',
      failures: 1,
      attempt: 1,
      lease_owner: null,
      error: { code: 'TASK_DIED', retryable: true },
    })
    expect(await catalog.run(alive.id)).toMatchObject({ state: 'running', failures: 0 })
    expect((await catalog.unsentRuns(COPIES, 10)).map(({ id }) => id)).toEqual([lost.id])
    expect(await catalog.renewRun(lost.id, 1, 60_000, null)).toBe(false)
    expect(await catalog.claimRun(lost.id, livingHolder(), 1000)).toMatchObject({ attempt: 2 })
  })

  test('a run of a dead local process is given back at once; one of another host when its lease runs out', async () => {
    await using place = await open()
    const { catalog } = place
    const local = await runningCopy(catalog, deadHolder())
    const remote = await runningCopy(catalog, remoteHolder())
    expect(await catalog.reconcile(60_000)).toEqual({ requeued: 1, resent: 0 })
    expect(await catalog.run(local.id)).toMatchObject({ state: 'queued', failures: 1 })
    expect(await catalog.run(remote.id)).toMatchObject({ state: 'running' })
  })

  test('a run whose process died for the last time its job allows is given back once more, for its handler to tell', async () => {
    await using place = await open()
    const { catalog } = place
    const params = { backup_id: 'b', store: null, target: '/srv/new', in_place: false }
    const { id } = await catalog.transaction(CLI, (tx) => tx.enqueue({ job: 'restore-backup', params }))
    await catalog.claimRun(id, deadHolder(), 60_000)
    await catalog.reconcile(60_000)
    expect(await catalog.run(id)).toMatchObject({ state: 'queued', failures: 1, error: { code: 'TASK_DIED' } })
  })

  test('a run of a job that this version does not know is given back, and shown when it is dead', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, deadHolder())
    await place.sql(`update runs set job = 'imagined', failures = 1000 where id = '${run.id}'`)
    await catalog.reconcile(60_000)
    expect(await catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 1001 })
    await place.sql(`update runs set state = 'dead' where id = '${run.id}'`)
    expect(await catalog.deadLetters()).toMatchObject([{ id: run.id, what: 'imagined' }])
    expect(await catalog.replay(run.id)).toBe(true)
  })

  test('what two reconcilers find at once is given back once', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const runs = await Promise.all(Array.from({ length: 8 }, () => runningCopy(place.catalog, deadHolder())))
    await Promise.all(handles.map((handle) => handle.reconcile(60_000)))
    await place.catalog.reconcile(60_000)
    for (const { id } of runs) expect(await place.catalog.run(id)).toMatchObject({ state: 'queued', failures: 1 })
  })

  test('a run that was sent, is due, and was not taken in time is sent again', async () => {
    await using place = await open()
    const { catalog } = place
    const due = await enqueueCopy(catalog)
    await enqueueCopy(catalog, { not_before: FUTURE })
    await catalog.markRunsSent(await catalog.unsentRuns(COPIES, 10))
    expect(await catalog.reconcile(60_000)).toEqual({ requeued: 0, resent: 0 })
    await sleep(30)
    expect(await catalog.reconcile(10)).toEqual({ requeued: 0, resent: 1 })
    const [again, ...more] = await catalog.unsentRuns(COPIES, 10)
    expect([again?.id, more]).toEqual([due.id, []])
    expect(again!.turn).toBeGreaterThan(1)
    expect(await catalog.reconcile(10)).toEqual({ requeued: 0, resent: 0 })
    expect(await catalog.run(due.id)).toMatchObject({ state: 'queued', failures: 0 })
  })

  test('a dead run waits for a person, who can have it tried again from the start', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, livingHolder())
    await end(catalog, run.id)
    expect(await catalog.deadLetters()).toEqual([
      {
        kind: 'run',
        id: run.id,
        what: 'replicate-copy',
        service: 'replicator',
        failures: 1,
        error: BROKEN,
        since: expect.any(String),
      },
    ])
    expect(await catalog.replay(run.id)).toBe(true)
    expect(await catalog.replay(run.id)).toBe(false)
    expect(await catalog.deadLetters()).toEqual([])
    expect(await catalog.unsentRuns(COPIES, 10)).toMatchObject([{ id: run.id }])
    const again = await catalog.claimRun(run.id, livingHolder(), 1000)
    expect(again).toMatchObject({ attempt: 2, failures: 0, finished_at: null })
  })
}

function end(catalog: Catalog, id: string): Promise<void> {
  const dead = { kind: 'retry', error: BROKEN, not_before: FUTURE, dead: true } as const
  return catalog.transaction(WORKER, (tx) => tx.endRun(id, 1, dead))
}
