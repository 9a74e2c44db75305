import { shifted } from '@salvor/shared/vocabulary/instant'
import type { Catalog, RunEnd } from '@salvor/shared/ports/catalog'
import type { Run } from '@salvor/shared/vocabulary/run'
import { expect, test } from 'vitest'
import { BROKEN, CLI, codeOf, enqueueCopy, freshId, livingHolder, runningCopy, WORKER } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const FUTURE = '2100-01-01T00:00:00.000000Z'

const end = (catalog: Catalog, { id, attempt }: Run, how: RunEnd) =>
  catalog.transaction(WORKER, (tx) => tx.endRun(id, attempt, how))

/** Runs: queued once, taken once, ended by the present attempt only. */
export function runContract(open: OpenCatalog): void {
  test('a new run is queued, due now, and the beginning of its own story', async () => {
    await using place = await open()
    const { catalog } = place
    const params = {
      source: 'clinic',
      type: 'full',
      retention_class: 'full',
      trigger: 'command',
      scheduled_for: null,
    } as const
    const asked = { job: 'take-backup', params, source: 'clinic', pool: 'east', config_hash: 'h' } as const
    const run = await catalog.transaction(CLI, (tx) => tx.enqueue(asked))
    expect(run).toEqual({
      ...asked,
      id: run.id,
      state: 'queued',
      attempt: 0,
      failures: 0,
      not_before: run.created_at,
      created_at: run.created_at,
      started_at: null,
      finished_at: null,
      lease_owner: null,
      lease_until: null,
      progress: null,
      error: null,
      result: null,
      correlation_id: run.id,
      causation_id: null,
    })
    expect(await catalog.run(run.id)).toEqual(run)
    expect(await catalog.run(freshId())).toBeNull()
  })

  test('a run takes part in the story of what caused it, unless it is told another', async () => {
    await using place = await open()
    const cause = { service: 'verifier', correlation_id: 'story', causation_id: 'event-1' } as const
    const [follows, told] = await place.catalog.transaction(cause, async (tx) => [
      await tx.enqueue({ job: 'plan-tick', params: {} }),
      await tx.enqueue({ job: 'plan-tick', params: {}, correlation_id: 'another' }),
    ])
    expect([follows?.correlation_id, follows?.causation_id]).toEqual(['story', 'event-1'])
    expect(told?.correlation_id).toBe('another')
  })

  test('parameters that do not fit the job are refused, without their values in the message', async () => {
    await using place = await open()
    const params = { backup_id: 17, secret: 'hunter2' } as unknown as { backup_id: string }
    const bad = place.catalog.transaction(CLI, (tx) => tx.enqueue({ job: 'replicate-copy', params }))
    await expect(bad).rejects.toThrow(/job replicate-copy does not fit its schema: backup_id: invalid_type/)
    await expect(bad).rejects.not.toThrow(/hunter2/)
    expect(await codeOf(bad)).toBe('MESSAGE_INVALID')
    expect(await place.catalog.runs({})).toEqual([])
  })

  test('a unique key gives the run that is there, also to processes that ask at the same moment', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const ask = (index: number) => enqueueCopy(handles[index % 2]!, { unique_key: 'tick/2025-11-27' })
    const runs = await Promise.all([0, 1, 2, 3, 4, 5].map(ask))
    expect(new Set(runs.map((run) => run.id)).size).toBe(1)
    const [run] = runs
    const taken = await place.catalog.claimRun(run!.id, livingHolder(), 60_000)
    await end(place.catalog, taken!, { kind: 'succeeded' })
    expect(await ask(0)).toMatchObject({ id: run!.id, state: 'succeeded' })
  })

  test('of processes that want one run, one gets it', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const { id } = await enqueueCopy(place.catalog)
    const claims = [0, 1, 2, 3, 4, 5].map((index) => handles[index % 2]!.claimRun(id, livingHolder(), 60_000))
    const taken = (await Promise.all(claims)).filter((run) => run !== null)
    expect(taken).toHaveLength(1)
    expect(taken[0]).toMatchObject({ state: 'running', attempt: 1, failures: 0, lease_owner: expect.any(String) })
    expect(taken[0]!.lease_until! > taken[0]!.started_at!).toBe(true)
  })

  test('a run that is not due, not queued or not there is not given out', async () => {
    await using place = await open()
    const { catalog } = place
    const early = await enqueueCopy(catalog, { not_before: FUTURE })
    const done = await runningCopy(catalog, livingHolder())
    await end(catalog, done, { kind: 'succeeded' })
    for (const id of [early.id, done.id, freshId()]) {
      expect(await catalog.claimRun(id, livingHolder(), 1000)).toBeNull()
    }
  })

  test('a run that succeeded keeps its result and gives its lease back', async () => {
    await using place = await open()
    const run = await runningCopy(place.catalog, livingHolder())
    await end(place.catalog, run, { kind: 'succeeded', result: { stores: ['s3'] } })
    expect(await place.catalog.run(run.id)).toMatchObject({
      state: 'succeeded',
      result: { stores: ['s3'] },
      error: null,
      finished_at: expect.any(String),
      lease_owner: null,
      lease_until: null,
      attempt: 1,
      failures: 0,
    })
  })

  test('an attempt that was replaced can not commit anything', async () => {
    await using place = await open()
    const { catalog } = place
    const late = await runningCopy(catalog, livingHolder(), -1000)
    await catalog.reconcile(60_000)
    const present = await catalog.claimRun(late.id, livingHolder(), 60_000)
    expect(present?.attempt).toBe(2)
    const commit = catalog.transaction(WORKER, async (tx) => {
      await tx.recordClaim('clinic', 'local')
      await tx.endRun(late.id, late.attempt, { kind: 'succeeded' })
    })
    expect(await codeOf(commit)).toBe('LEASE_LOST')
    expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
    expect(await catalog.run(late.id)).toMatchObject({ state: 'running', attempt: 2 })
    expect(await codeOf(end(catalog, { ...late, id: freshId() }, { kind: 'succeeded' }))).toBe('LEASE_LOST')
  })

  test('two ends of one attempt: the first counts', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const run = await runningCopy(place.catalog, livingHolder())
    const ends = await Promise.allSettled(handles.map((handle) => end(handle, run, { kind: 'succeeded' })))
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('a postponed run is queued again without counting a failure', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, livingHolder())
    await end(catalog, run, { kind: 'again', not_before: FUTURE })
    expect(await catalog.run(run.id)).toMatchObject({
      state: 'queued',
      failures: 0,
      not_before: FUTURE,
      attempt: 1,
      lease_owner: null,
      finished_at: null,
    })
  })

  test('the endless tick: postponed with a result, it forgets the failures before', async () => {
    await using place = await open()
    const { catalog } = place
    const tick = () =>
      catalog.transaction(CLI, (tx) => tx.enqueue({ job: 'plan-tick', params: {}, unique_key: 'plan-tick' }))
    const { id } = await tick()
    const step = async (how: (now: string) => RunEnd) => {
      const run = await catalog.claimRun(id, livingHolder(), 60_000)
      await end(catalog, run!, how(await catalog.now()))
      return catalog.run(id)
    }
    const retry = (now: string): RunEnd => ({ kind: 'retry', error: BROKEN, not_before: now, dead: false })
    expect(await step(retry)).toMatchObject({ failures: 1, state: 'queued', error: BROKEN })
    expect(await step((now) => ({ kind: 'again', not_before: now }))).toMatchObject({ failures: 1, error: null })
    expect(await step((now) => ({ kind: 'again', not_before: now, result: { fired: 2 } }))).toMatchObject({
      failures: 0,
      result: { fired: 2 },
      attempt: 3,
      state: 'queued',
    })
    expect((await tick()).id).toBe(id)
  })

  test('a failed attempt is tried again later; the last one makes the run dead', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, livingHolder())
    await end(catalog, run, { kind: 'retry', error: BROKEN, not_before: await catalog.now(), dead: false })
    expect(await catalog.run(run.id)).toMatchObject({ state: 'queued', failures: 1, error: BROKEN, finished_at: null })
    const second = await catalog.claimRun(run.id, livingHolder(), 60_000)
    await end(catalog, second!, { kind: 'retry', error: BROKEN, not_before: FUTURE, dead: true })
    expect(await catalog.run(run.id)).toMatchObject({ state: 'dead', failures: 2, finished_at: expect.any(String) })
  })

  test('a run that will not get better by itself ends as failed', async () => {
    await using place = await open()
    const run = await runningCopy(place.catalog, livingHolder())
    await end(place.catalog, run, { kind: 'failed', error: BROKEN })
    expect(await place.catalog.run(run.id)).toMatchObject({ state: 'failed', error: BROKEN, failures: 1 })
    expect(await place.catalog.deadLetters()).toEqual([])
  })

  test('an attempt renews its lease and tells how far it is, until it is no longer the present one', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, livingHolder(), 1000)
    const progress = { phase: 'reading', done_bytes: 10, total_bytes: null }
    expect(await catalog.renewRun(run.id, 1, 90_000, progress)).toBe(true)
    expect(await catalog.renewRun(run.id, 1, 90_000, null)).toBe(true)
    const renewed = await catalog.run(run.id)
    expect(renewed?.progress).toEqual(progress)
    expect(renewed!.lease_until! > shifted(await catalog.now(), 60_000)).toBe(true)
    expect(await catalog.renewRun(run.id, 2, 90_000, null)).toBe(false)
    await end(catalog, run, { kind: 'again', not_before: await catalog.now() })
    expect(await catalog.renewRun(run.id, 1, 90_000, null)).toBe(false)
    expect((await catalog.claimRun(run.id, livingHolder(), 1000))?.progress).toBeNull()
  })

  test('runs are found by state, job, source and story, newest first', async () => {
    await using place = await open()
    const { catalog } = place
    const a = await enqueueCopy(catalog, { source: 'clinic', correlation_id: 'story' })
    const b = await enqueueCopy(catalog, { source: 'desk' })
    const c = await runningCopy(catalog, livingHolder())
    const find = async (filter: Parameters<Catalog['runs']>[0]) => (await catalog.runs(filter)).map((run) => run.id)
    expect(await find({})).toEqual([c.id, b.id, a.id])
    expect(await find({ limit: 2 })).toEqual([c.id, b.id])
    expect(await find({ states: ['queued'] })).toEqual([b.id, a.id])
    expect(await find({ states: [] })).toEqual([])
    expect(await find({ jobs: ['plan-tick'] })).toEqual([])
    expect(await find({ source: 'desk' })).toEqual([b.id])
    expect(await find({ correlation_id: 'story', jobs: ['replicate-copy'] })).toEqual([a.id])
  })
}
