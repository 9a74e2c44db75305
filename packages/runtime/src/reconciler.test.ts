import { expect, test } from 'vitest'
import { reconciler } from './reconciler.ts'
import { backupOf, enqueue, openWorld, until } from './world.fixture.ts'

test('what is over and old leaves the catalog, batch after batch, and is told once', async () => {
  await using world = await openWorld()
  const { catalog, holder, deps, lines } = world
  for (let n = 0; n < 510; n += 1) {
    const { id } = await enqueue(catalog, backupOf('clinic'))
    const run = await catalog.claimRun(id, holder, 60_000)
    await catalog.transaction({ service: 'backup-worker' }, (tx) => tx.endRun(id, run!.attempt, { kind: 'succeeded' }))
  }
  const waiting = await enqueue(catalog, backupOf('clinic'))
  const relay = { sweep: () => {} } as Parameters<typeof reconciler>[0]['relay']
  const log = deps.log
  const looking = reconciler({ catalog, holder, log, relay, transport: null, wakePoller: () => {}, keptMs: 0 })
  await until(async () => (await catalog.runs({})).length === 1)
  await looking.stop()
  expect((await catalog.runs({})).map(({ id }) => id)).toEqual([waiting.id])
  const told = lines.filter(({ message }) => message.includes('removed from the catalog'))
  expect(told.map(({ facts }) => facts)).toEqual([{ events: 0, runs: 510 }])
}, 60_000)
