import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import { CLI, deadHolder, livingHolder, remoteHolder } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

/** Leases: one holder at a time, told apart by a growing token; and incidents: one open per condition. */
export function leaseContract(open: OpenCatalog): void {
  test('of processes that want one lease, one gets it', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    for (const name of ['sweep', 'reconcile', 'sqlite/clinic']) {
      const wanted = [0, 1, 2, 3, 4, 5].map((index) => handles[index % 2]!.acquireLease(name, livingHolder(), 60_000))
      const got = (await Promise.all(wanted)).filter((lease) => lease !== null)
      expect(got).toHaveLength(1)
      expect(got[0]).toMatchObject({ name, token: 1 })
      expect(await place.catalog.acquireLease(name, got[0]!.holder, 60_000)).toBeNull()
    }
  })

  test('a lease that ran out goes to the next with a higher token, and the late holder is told', async () => {
    await using place = await open()
    const { catalog } = place
    const first = await catalog.acquireLease('sweep', remoteHolder(), 1500)
    expect(await catalog.acquireLease('sweep', livingHolder(), 60_000)).toBeNull()
    await sleep(1600)
    const second = await catalog.acquireLease('sweep', livingHolder(), 60_000)
    expect(second?.token).toBe(2)
    expect(await catalog.renewLease(first!, 60_000)).toBe(false)
    await catalog.releaseLease(first!)
    expect(await catalog.leases('sweep')).toEqual([second])
  })

  test('of processes that want a lease that ran out, one gets it', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    await place.catalog.acquireLease('sweep', livingHolder(), -1000)
    const wanted = [0, 1, 2, 3].map((index) => handles[index % 2]!.acquireLease('sweep', livingHolder(), 60_000))
    const got = (await Promise.all(wanted)).filter((lease) => lease !== null)
    expect(got.map((lease) => lease.token)).toEqual([2])
  })

  test('a lease is renewed by its holder, before and after it ran out unnoticed', async () => {
    await using place = await open()
    const { catalog } = place
    const lease = await catalog.acquireLease('sweep', livingHolder(), -1000)
    expect(await catalog.leases('')).toEqual([])
    expect(await catalog.renewLease(lease!, 60_000)).toBe(true)
    expect((await catalog.leases('sweep'))[0]!.until > lease!.until).toBe(true)
    expect(await catalog.acquireLease('sweep', livingHolder(), 60_000)).toBeNull()
  })

  test('a dead process of this machine is replaced at once; one of another machine is waited for', async () => {
    await using place = await open()
    const { catalog } = place
    await catalog.acquireLease('local', deadHolder(), 60_000)
    await catalog.acquireLease('remote', remoteHolder(), 60_000)
    expect((await catalog.leases('')).map((lease) => lease.name)).toEqual(['remote'])
    expect((await catalog.acquireLease('local', livingHolder(), 60_000))?.token).toBe(2)
    expect(await catalog.acquireLease('remote', livingHolder(), 60_000)).toBeNull()
  })

  test('a lease given back is free at once, can not be renewed, and its token never comes again', async () => {
    await using place = await open()
    const { catalog } = place
    const first = await catalog.acquireLease('sweep', livingHolder(), 60_000)
    await catalog.releaseLease(first!)
    await catalog.releaseLease(first!)
    expect(await catalog.leases('')).toEqual([])
    expect(await catalog.renewLease(first!, 60_000)).toBe(false)
    expect((await catalog.acquireLease('sweep', livingHolder(), 60_000))?.token).toBe(2)
  })

  test('leases are found by the beginning of their name, taken letter by letter', async () => {
    await using place = await open()
    const { catalog } = place
    const names = ['worker/a', 'worker/b', 'worker', 'Worker/c', 'work_r/d', 'w%', 'zoo']
    for (const name of names) await catalog.acquireLease(name, livingHolder(), 60_000)
    const find = async (prefix: string) => (await catalog.leases(prefix)).map((lease) => lease.name)
    expect(await find('worker/')).toEqual(['worker/a', 'worker/b'])
    expect(await find('work_')).toEqual(['work_r/d'])
    expect(await find('w%')).toEqual(['w%'])
    expect(await find('')).toHaveLength(names.length)
  })

  test('an incident is open once, and opens anew after it was resolved', async () => {
    await using place = await open()
    const { catalog } = place
    const openIt = (title: string) =>
      catalog.transaction(CLI, (tx) => tx.openIncident('clinic/backup', 'clinic', title))
    const resolveIt = () => catalog.transaction(CLI, (tx) => tx.resolveIncident('clinic/backup'))
    expect(await resolveIt()).toBe(false)
    expect([await openIt('no backup'), await openIt('still none')]).toEqual([true, false])
    expect(await catalog.openIncidents()).toEqual([
      {
        key: 'clinic/backup',
        source: 'clinic',
        title: 'no backup',
        opened_at: expect.any(String),
        resolved_at: null,
      },
    ])
    expect([await resolveIt(), await resolveIt()]).toEqual([true, false])
    expect(await catalog.openIncidents()).toEqual([])
    expect(await openIt('again')).toBe(true)
    expect((await catalog.openIncidents()).map(({ title }) => title)).toEqual(['again'])
  })

  test('of processes that see one condition, one opens the incident and one resolves it', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const together = (work: (handle: Catalog) => Promise<boolean>) =>
      Promise.all([0, 1, 2, 3].map((index) => work(handles[index % 2]!)))
    const opened = await together((handle) => handle.transaction(CLI, (tx) => tx.openIncident('k', null, 't')))
    const resolved = await together((handle) => handle.transaction(CLI, (tx) => tx.resolveIncident('k')))
    expect([opened.filter(Boolean).length, resolved.filter(Boolean).length]).toEqual([1, 1])
  })
}
