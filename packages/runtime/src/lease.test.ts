import { expect, test } from 'vitest'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { holdLease, keepRenewed } from './lease.ts'
import { memoryLog, openWorld, until } from './world.fixture.ts'

const log = memoryLog()

test('a lease that is held is refused to another, and free once it is given back', async () => {
  await using world = await openWorld()
  const options = { catalog: world.catalog, holder: world.holder, log }
  {
    await using held = await holdLease('source:clinic', options)
    expect(held).not.toBeNull()
    expect(await holdLease('source:clinic', options)).toBeNull()
  }
  await using again = await holdLease('source:clinic', options)
  expect(again).not.toBeNull()
})

test('a lease outlives its length while it is renewed', async () => {
  await using world = await openWorld()
  const options = { catalog: world.catalog, holder: world.holder, log, ttlMs: 300 }
  await using held = await holdLease('source:clinic', options)
  await new Promise((resolve) => setTimeout(resolve, 700))
  expect(held!.lost.aborted).toBe(false)
  expect(await holdLease('source:clinic', options)).toBeNull()
})

test('the holder learns that the lease was taken from it', async () => {
  await using world = await openWorld()
  await using held = await holdLease('source:clinic', { catalog: world.catalog, holder: world.holder, log, ttlMs: 300 })
  const [row] = await world.catalog.leases('source:')
  if (row) await world.catalog.releaseLease(row)
  await until(() => held?.lost.aborted === true)
  expect(held?.lost.aborted).toBe(true)
})

test.each([
  ['refuses', () => Promise.reject(new SalvorError('CATALOG_UNREACHABLE', { reason: 'gone' }))],
  ['never answers', () => new Promise<boolean>(() => undefined)],
])('a lease is lost after its length when the catalog %s', async (_how, renew) => {
  const since = performance.now()
  const lostAfter = await new Promise<number>((resolve) => {
    keepRenewed({ ttlMs: 300, since, renew, onLost: () => resolve(performance.now() - since) })
  })
  expect(lostAfter).toBeGreaterThanOrEqual(299)
  expect(lostAfter).toBeLessThan(2000)
})
