import { setTimeout as sleep } from 'node:timers/promises'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { CLI, codeOf, completedEvent, enqueueCopy, livingHolder, runningCopy, WORKER } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

/** All or none, side by side, by one clock. */
export function transactionContract(open: OpenCatalog): void {
  test('a transaction that throws leaves nothing behind', async () => {
    await using place = await open()
    const { catalog } = place
    const broken = catalog.transaction(CLI, async (tx) => {
      await tx.enqueue({ job: 'plan-tick', params: {} })
      await tx.publish(completedEvent())
      await tx.openIncident('clinic/backup', 'clinic', 'no backup')
      await tx.audit({ actor: 'a', action: 'b', object: 'c', outcome: 'd' })
      throw new Error('the handler changed its mind')
    })
    await expect(broken).rejects.toThrow('the handler changed its mind')
    expect(await catalog.runs({})).toEqual([])
    expect(await catalog.unsentEvents('any', 10)).toEqual([])
    expect(await catalog.openIncidents()).toEqual([])
    expect(await catalog.verifyAudit()).toBeNull()
  })

  test('nobody sees the rows of a transaction before it has committed', async () => {
    await using place = await open()
    const { catalog } = place
    const other = await place.again()
    await catalog.transaction(CLI, async (tx) => {
      await tx.enqueue({ job: 'plan-tick', params: {} })
      expect(await catalog.runs({})).toEqual([])
      expect(await other.runs({})).toEqual([])
    })
    expect(await catalog.runs({})).toHaveLength(1)
    expect(await other.runs({})).toHaveLength(1)
  })

  test('transactions begun at once do not mix: one fails alone', async () => {
    await using place = await open()
    const { catalog } = place
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) =>
        catalog.transaction(CLI, async (tx) => {
          await tx.enqueue({ job: 'plan-tick', params: {}, unique_key: `first-${index}` })
          await sleep(1)
          if (index % 3 === 0) throw new Error('this one fails')
          await tx.enqueue({ job: 'plan-tick', params: {}, unique_key: `second-${index}` })
        }),
      ),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(8)
    expect(await catalog.runs({})).toHaveLength(16)
  })

  test('two handles that write at the same time lose nothing', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    await Promise.all(handles.flatMap((handle) => Array.from({ length: 40 }, () => enqueueCopy(handle))))
    expect(await place.catalog.runs({})).toHaveLength(80)
  })

  test('a failed write keeps the transaction from committing, even when its error was caught', async () => {
    await using place = await open()
    const { catalog } = place
    const run = await runningCopy(catalog, livingHolder())
    const late = catalog.transaction(WORKER, async (tx) => {
      await tx.endRun(run.id, run.attempt + 1, { kind: 'succeeded' }).catch(() => undefined)
      await tx.recordClaim('clinic', 'local')
    })
    expect(await codeOf(late)).toBe('LEASE_LOST')
    expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
  })

  test('a transaction inside a transaction is refused at once instead of waiting for itself', async () => {
    await using place = await open()
    const { catalog } = place
    const nested = catalog.transaction(CLI, () => enqueueCopy(catalog))
    expect(await codeOf(nested)).toBe('INTERNAL')
    await enqueueCopy(catalog)
    expect(await catalog.runs({})).toHaveLength(1)
  })

  test('a write that comes after the end of its transaction is refused', async () => {
    await using place = await open()
    const { catalog } = place
    const tx = await catalog.transaction(CLI, async (tx) => tx)
    expect(await codeOf(tx.recordClaim('clinic', 'local'))).toBe('INTERNAL')
    expect(await codeOf(tx.audit({ actor: 'a', action: 'b', object: 'c', outcome: 'd' }))).toBe('INTERNAL')
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const late: Promise<unknown>[] = []
    const failed = catalog.transaction(CLI, async (tx) => {
      late.push(released.then(() => tx.recordClaim('clinic', 'local')))
      throw new Error('failed while another branch was at work')
    })
    await expect(failed).rejects.toThrow('another branch')
    release()
    expect(await codeOf(late[0]!)).toBe('INTERNAL')
    expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
  })

  test('a transaction has one instant of the catalog, in UTC with microseconds', async () => {
    await using place = await open()
    const { catalog } = place
    const before = await catalog.now()
    const { run, now, event } = await catalog.transaction(CLI, async (tx) => {
      const run = await tx.enqueue({ job: 'plan-tick', params: {} })
      await sleep(20)
      return { run, now: tx.now, event: await tx.publish(completedEvent()) }
    })
    expect(now).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    expect([run.created_at, run.not_before, event.time]).toEqual([now, now, now])
    expect(before <= now).toBe(true)
    const wall = `${new Date().toISOString().slice(0, 23)}000Z`
    expect(Math.abs(elapsedMs(now, wall))).toBeLessThan(5_000)
  })

  test('every handle names the same catalog', async () => {
    await using place = await open()
    const other = await place.again()
    expect(other.id).toBe(place.catalog.id)
    expect(other.id).toMatch(/^[0-9a-f-]{36}$/)
    expect([place.catalog.epoch, other.epoch]).toEqual([1, 1])
  })

  test('a catalog that a newer version has migrated is not touched', async () => {
    await using place = await open()
    await place.sql(`insert into migrations (name, applied_at) values ('9999-later', '2030-01-01T00:00:00.000000Z')`)
    expect(await codeOf(place.again())).toBe('CATALOG_NEWER')
  })

  test('closing waits for what is under way, and may be repeated', async () => {
    await using place = await open()
    const other = await place.again()
    const writing = enqueueCopy(other)
    const closing = sleep(1).then(() => other.close())
    await Promise.all([writing, closing])
    await other.close()
    await expect(other.runs({})).rejects.toThrow(/./)
    expect(await place.catalog.runs({})).toHaveLength(1)
  })
}
