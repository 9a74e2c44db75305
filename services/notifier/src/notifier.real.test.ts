import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { adapter as pagerduty } from '@salvor/channel-pagerduty'
import { adapter as slack } from '@salvor/channel-slack'
import { renderSlack } from '@salvor/channel-slack/render'
import type { SlackMessage } from '@salvor/channel-slack/message'
import { systemClock, systemIds } from '@salvor/runtime/clock'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import { holderAlive, thisHolder } from '@salvor/runtime/holder'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EventData, NewEvent } from '@salvor/shared/messages/events'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { Channel } from '@salvor/shared/ports/channel'
import type { Log } from '@salvor/shared/ports/log'
import type { Deps, Route } from '@salvor/shared/ports/service'
import type { Backup } from '@salvor/shared/vocabulary/backup'
import { startReceiver } from '@salvor/testkit/real/message-receiver'
import { expect, test } from 'vitest'
import { notifier } from './service.ts'

const TO_BOTH: readonly Route[] = [{ events: null, severity: null, to: ['slack', 'pager'] }]
const error = new SalvorError('SOURCE_UNREACHABLE', { source: 'clinic', where: 'db:5432', reason: 'ECONNREFUSED' })

/** The notifier on a real embedded catalog, with a real Slack and PagerDuty channel that speak to a receiver. */
async function openWorld(routes = TO_BOTH, wrap: (catalog: Catalog) => Catalog = (same) => same) {
  const receiver = await startReceiver()
  const data_dir = mkdtempSync(join(tmpdir(), 'salvor-notifier-'))
  const opened = await openCatalog({ url: null, data_dir, ids: systemIds, holderAlive })
  const catalog = wrap(opened)
  const lines: unknown[] = []
  const channels = new Map<string, () => Channel>([
    ['slack', () => slack.open('slack', { url: receiver.slackUrl }, catalog.id)],
    [
      'pager',
      () => pagerduty.open('pager', { routing_key: receiver.routingKey, endpoint: receiver.pagerDutyUrl }, catalog.id),
    ],
  ])
  const refuse = (): never => {
    throw new Error('not for the notifier')
  }
  const deps: Deps = {
    catalog,
    settings: () => ({ timezone: 'UTC', data_dir, sources: new Map(), stores: new Map(), routes }),
    store: refuse,
    engine: refuse,
    channel: (name) => (channels.get(name) ?? refuse)(),
    keyring: { configured: false, sign: refuse, check: refuse, sealingKey: refuse, wrap: refuse, unwrap: refuse },
    tasks: { run: refuse },
    clock: systemClock,
    ids: systemIds,
    log: logInto(lines),
    lease: refuse,
  }
  const another = () => createDispatch({ definitions: [notifier], deps, holder: thisHolder('test'), random: () => 0 })
  const dispatch = another()
  const due = () => catalog.dueRuns({ jobs: ['send-notification'], pools: [null], limit: 50 })
  return {
    receiver,
    catalog,
    channels,
    lines,
    /** What another process would work with. */
    another,
    publish: (event: NewEvent) => opened.transaction({ service: 'backup-worker' }, (tx) => tx.publish(event)),
    record: (backup: Partial<Backup>) =>
      opened.transaction({ service: 'backup-worker' }, async (tx) => recordBackup(tx, backup)),
    /** Delivers every event and tries every run that is due, once each. */
    async turn() {
      for (const id of await catalog.undelivered('notifier', { limit: 100 })) await dispatch.handleEvent(id, 'notifier')
      await Promise.all((await due()).map((id) => dispatch.executeRun(id)))
    },
    runs: () => opened.runs({ jobs: ['send-notification'] }),
    incidents: async () => (await opened.openIncidents()).map(({ key }) => key),
    slackTexts: () =>
      receiver.messages
        .filter(({ kind }) => kind === 'slack')
        .map(({ body }) => renderSlack(body as unknown as SlackMessage)),
    async [Symbol.asyncDispose]() {
      await opened.close()
      await receiver.stop()
      rmSync(data_dir, { recursive: true, force: true })
    },
  }
}
type World = Awaited<ReturnType<typeof openWorld>>

function logInto(lines: unknown[]): Log {
  const take = (facts: object, message: string) => void lines.push({ facts, message })
  return { debug: take, info: take, warn: take, error: take, child: () => logInto(lines) }
}

async function recordBackup(tx: Parameters<Parameters<Catalog['transaction']>[1]>[0], given: Partial<Backup>) {
  const backup: Backup = {
    id: systemIds.next(),
    source: 'clinic',
    engine: 'sqlite',
    type: 'full',
    retention_class: 'full',
    state: 'completed',
    filename: `backup_full_${systemIds.next().slice(-6)}.db.zst`,
    timestamp: tx.now,
    consistent_at: tx.now,
    size_bytes: 1000,
    source_bytes: 4000,
    checksum_sha256: 'a'.repeat(64),
    source_db: 'x',
    retention_until: null,
    parent: null,
    duration_ms: 5,
    encrypted: false,
    manifest_sha256: 'b'.repeat(64),
    ...given,
  }
  await tx.recordBackup(backup)
  const copy = { backup_id: backup.id, store: 'local', key: `clinic/${backup.filename}`, upload: null }
  await tx.recordCopy({ ...copy, state: 'completed', stored_at: tx.now })
  return backup
}

function failed(failures: number, final = false): NewEvent {
  const data = { source: 'clinic', run_id: 'r', type: 'full', failures, final, error: error.toFailure() } as const
  return { type: 'backup.failed', subject: 'clinic', data }
}
function completed({ id, filename, type }: Backup): NewEvent {
  const sizes = { size_bytes: 1000, source_bytes: 4000, duration_ms: 5 }
  const data: EventData<'backup.completed'> = {
    source: 'clinic',
    backup_id: id,
    run_id: 'r',
    type,
    retention_class: 'full',
    store: 'local',
    filename,
    ...sizes,
  }
  return { type: 'backup.completed', subject: 'clinic', data }
}
async function turnsUntil(world: World, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  for (const end = performance.now() + timeoutMs; !condition();) {
    if (performance.now() > end) throw new Error('not so in time')
    await world.turn()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a backup that keeps failing is told, wakes somebody once, and its end is told and ends the page', async () => {
  await using world = await openWorld()
  await world.publish(failed(1))
  await world.turn()
  expect([world.slackTexts().length, world.receiver.openPages.size]).toEqual([1, 0])
  await world.publish(failed(2))
  await world.publish(failed(4, true))
  await world.turn()
  expect(await world.incidents()).toEqual(['clinic/backup/full'])
  expect([...world.receiver.openPages.keys()]).toEqual([`${world.catalog.id}/clinic/backup/full`])
  await world.publish(completed(await world.record({})))
  await world.turn()
  expect(await world.incidents()).toEqual([])
  expect(world.receiver.openPages.size).toBe(0)
  expect(world.slackTexts().at(-1)).toMatch(/^✅ Backups work again: clinic\n/)
  expect(world.slackTexts()).toHaveLength(4)
})

test('an event that is delivered again and again, by several processes, is told once on each channel', async () => {
  await using world = await openWorld()
  const event = await world.publish(failed(4, true))
  const others = [world.another(), world.another()]
  await Promise.all(others.map((other) => other.handleEvent(event.id, 'notifier')))
  const ids = (await world.runs()).map(({ id }) => id)
  await Promise.all([...others, ...others].flatMap((other) => ids.map((id) => other.executeRun(id))))
  await others[0]!.handleEvent(event.id, 'notifier')
  await world.turn()
  expect(await world.catalog.undelivered('notifier', { limit: 10 })).toEqual([])
  expect(world.receiver.messages.map(({ kind }) => kind).toSorted()).toEqual(['pagerduty', 'slack'])
  const runs = await world.runs()
  expect(runs.map(({ params, state }) => [params, state])).toEqual(
    expect.arrayContaining([
      [expect.objectContaining({ event_id: event.id, channel: 'slack' }), 'succeeded'],
      [expect.objectContaining({ event_id: event.id, channel: 'pager' }), 'succeeded'],
    ]),
  )
})

test('a receiver that asks to wait gets the message then, once, and nothing counts as failed', async () => {
  await using world = await openWorld([{ events: null, severity: null, to: ['slack'] }])
  world.receiver.next({ status: 429, headers: { 'retry-after': '1' } })
  await world.publish(failed(1))
  await world.turn()
  expect(await world.runs()).toMatchObject([{ state: 'queued', failures: 0, attempt: 1 }])
  await turnsUntil(world, () => world.receiver.messages.length > 0)
  expect(await world.runs()).toMatchObject([{ state: 'succeeded', failures: 0, attempt: 2 }])
  expect(world.receiver.requests).toBe(2)
})

test('an outage is outlived: the message arrives once, and the other channel does not wait for it', async () => {
  await using world = await openWorld()
  world.channels.set('slack', () => slack.open('slack', { url: 'http://127.0.0.1:9/canary' }, 'install'))
  await world.publish(failed(4, true))
  await world.turn()
  expect(world.receiver.messages.map(({ kind }) => kind)).toEqual(['pagerduty'])
  const down = (await world.runs()).find(({ params }) => (params as { channel: string }).channel === 'slack')
  expect(down).toMatchObject({ state: 'queued', failures: 1, error: { code: 'CHANNEL_FAILED' } })
  world.channels.set('slack', () => slack.open('slack', { url: world.receiver.slackUrl }, 'install'))
  await turnsUntil(world, () => world.receiver.messages.length > 1)
  expect(world.slackTexts()).toHaveLength(1)
})

test('thirty messages to a Slack that takes eight a second all arrive, each once', async () => {
  await using world = await openWorld([{ events: ['*'], severity: null, to: ['slack'] }])
  world.receiver.limitSlack(8)
  for (let n = 1; n <= 30; n++) await world.publish(failed(n))
  await turnsUntil(world, () => world.receiver.messages.length >= 30, 60_000)
  const told = world.slackTexts().map((text) => Number(/Failures\s+(\d+)/.exec(text)?.[1]))
  expect(told.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1))
})

test('a channel that cannot be opened silences no other, and its own run says what is wrong', async () => {
  await using world = await openWorld()
  world.channels.set('pager', () => {
    throw new SalvorError('SECRET_MISSING', { key: 'notify.pager', what: 'routing_key', reason: 'no such file' })
  })
  await world.publish(failed(4, true))
  await world.turn()
  expect(world.slackTexts()).toHaveLength(1)
  const run = (await world.runs()).find(({ params }) => (params as { channel: string }).channel === 'pager')
  expect(run).toMatchObject({ state: 'failed', error: { code: 'SECRET_MISSING' } })
})

test('an address that is refused for good is tried once', async () => {
  await using world = await openWorld([{ events: null, severity: null, to: ['slack'] }])
  world.receiver.always({ status: 404, body: 'no_service' })
  await world.publish(failed(1))
  for (let n = 0; n < 3; n++) await world.turn()
  expect(world.receiver.requests).toBe(1)
  expect(await world.runs()).toMatchObject([{ state: 'failed', error: { code: 'CHANNEL_MISCONFIGURED' } }])
})

test('a process that dies between the send and its record sends again: twice in Slack, one page in PagerDuty', async () => {
  let dying = 2
  await using world = await openWorld(TO_BOTH, (catalog) => ({
    ...catalog,
    // The attempt is over for the receiver; what would record it never comes.
    transaction: (cause, work) =>
      catalog.transaction(cause, async (tx) => {
        const endRun: typeof tx.endRun = async (id, attempt, end) => {
          if (end.kind === 'succeeded' && dying-- > 0) throw new SalvorError('LEASE_LOST', { run: id })
          await tx.endRun(id, attempt, end)
        }
        return work({ ...tx, endRun })
      }),
  }))
  await world.publish(failed(4, true))
  await world.turn()
  expect(world.receiver.messages).toHaveLength(2)
  const running = await world.catalog.runs({ states: ['running'] })
  expect(running).toHaveLength(2)
  // What the reconciler does with a dead holder's runs.
  for (const { id, attempt } of running)
    await world.catalog.transaction({ service: 'notifier' }, async (tx) =>
      tx.endRun(id, attempt, { kind: 'again', not_before: tx.now }),
    )
  await world.turn()
  expect(world.slackTexts()).toHaveLength(2)
  expect(world.receiver.openPages.size).toBe(1)
  expect((await world.runs()).every(({ state }) => state === 'succeeded')).toBe(true)
})

test('a corrupt copy is an incident until no copy in that store is corrupt', async () => {
  await using world = await openWorld()
  const [old, young] = [await world.record({}), await world.record({})]
  const verify = async ({ id }: Backup, ok: boolean) => {
    const copy = { source: 'clinic', backup_id: id, store: 'local', level: 'decode' } as const
    const seen = { id: systemIds.next(), ...copy, ok, checks: [], started_at: systemClock.now(), duration_ms: 1 }
    await world.catalog.transaction({ service: 'verifier' }, async (tx) => {
      await tx.recordVerification({ ...seen })
      if (ok) await tx.publish({ type: 'copy.verified', subject: id, data: { ...copy, duration_ms: 1 } })
      else await tx.publish({ type: 'copy.corrupt', subject: id, data: { ...copy, failed_checks: ['frame 3'] } })
    })
    await world.turn()
  }
  await verify(old, false)
  expect(await world.incidents()).toEqual(['clinic/corrupt/local'])
  expect(world.slackTexts().at(-1)).toMatch(/^🚨 Corrupt copy in local: clinic\nFrame 3\./)
  await verify(young, true)
  expect(await world.incidents()).toEqual(['clinic/corrupt/local'])
  await verify(old, true)
  expect(await world.incidents()).toEqual([])
  expect(world.receiver.openPages.size).toBe(0)
  expect(world.slackTexts().at(-1)).toMatch(/^✅ No corrupt copy left in local: clinic/)
})

test('a failure that is heard of after the next good backup is told, but wakes nobody', async () => {
  await using world = await openWorld()
  await world.publish(failed(4, true))
  await world.record({})
  await world.turn()
  expect(await world.incidents()).toEqual([])
  expect([world.slackTexts().length, world.receiver.openPages.size]).toEqual([1, 0])
})

test('no address and no key is in the catalog or in the log', async () => {
  await using world = await openWorld()
  world.receiver.next({ status: 500 }, { status: 403, body: 'canary' })
  await world.publish(failed(4, true))
  await world.turn()
  const kept = inspect([await world.runs(), await world.catalog.deadLetters(), world.lines], { depth: 20 })
  expect(kept).toContain('CHANNEL_')
  expect(kept).not.toMatch(/canary/)
})
