import { startRedis, type RealRedis } from '@salvor/testkit/real/redis'
import { sampleBackup, sampleCopy, sampleVerification } from '@salvor/testkit/contracts/catalog-samples'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { counting, health, makePlace, startHere } from './service.fixture.ts'
import { backupOf, enqueue, publishRegistered, until } from './world.fixture.ts'

let redis: RealRedis
beforeAll(async () => {
  redis = await startRedis({ policy: 'noeviction' })
})
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
})

test('a Redis that evicts keys is refused, with the command that repairs it', async () => {
  await using evicting = await startRedis({ policy: 'allkeys-lru' })
  using place = makePlace(evicting.url)
  const start = startHere(place, [counting().definition])
  await expect(start).rejects.toMatchObject({
    code: 'REDIS_POLICY',
    exit: 2,
    hint: 'redis-cli CONFIG SET maxmemory-policy noeviction',
  })
})

test('a Redis that begins to evict keys makes a running service unhealthy', async () => {
  await using own = await startRedis({ policy: 'noeviction' })
  using place = makePlace(own.url)
  await using started = await startHere(place, [counting().definition])
  await until(async () => (await health(started.process.http_port, 'readyz')).status === 200)
  const client = new Redis(own.url)
  await client.config('SET', 'maxmemory-policy', 'volatile-lru')
  // What the minute's check does; a new connection checks as well.
  await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(async () => (await health(started.process.http_port, 'healthz')).status === 503)
  await client.config('SET', 'maxmemory-policy', 'noeviction')
  await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  client.disconnect()
  await until(async () => (await health(started.process.http_port, 'readyz')).body.includes('messages come through'))
  expect((await health(started.process.http_port, 'healthz')).status).toBe(200)
})

test('metrics name jobs, queues and services, and never an id', async () => {
  using place = makePlace(redis.url)
  await using started = await startHere(place, [counting().definition])
  const { catalog } = started.runtime.deps
  const run = await enqueue(catalog, backupOf('clinic'))
  const event = await publishRegistered(catalog)
  await until(async () => (await catalog.openIncidents()).length === 2)
  const { body } = await health(started.process.http_port, 'metrics')
  expect(body).toContain('salvor_runs_total{job="take-backup",status="succeeded"} 1')
  expect(body).toContain('salvor_events_total{service="backup-worker",type="source.registered",status="handled"} 1')
  expect(body).toMatch(/salvor_queue_jobs\{queue="take-backup",state="waiting"\} 0/)
  expect(body).toMatch(/salvor_outbox_lag_seconds \d/)
  expect(body).toMatch(/salvor_build_info\{version="[\d.]+"\} 1/)
  expect(body).toMatch(/salvor_event_loop_lag_seconds\{quantile="0.99"\} /)
  expect(body).toMatch(/salvor_runs\{job="take-backup",state="queued"\} 0/)
  expect(body).toMatch(/salvor_event_delivery_lag_seconds\{service="notifier"\} \d/)
  expect(body).toMatch(/salvor_incidents_open 2/)
  for (const id of [run.id, event.id, catalog.id]) expect(body).not.toContain(id)
})

test('metrics say of each source how old its newest good backup is, and what its copies are worth', async () => {
  using place = makePlace(null)
  await using started = await startHere(place, [counting().definition])
  const { catalog } = started.runtime.deps
  const backup = sampleBackup({ size_bytes: 1000, source_bytes: 4000, duration_ms: 2500 })
  await catalog.transaction({ service: 'cli' }, async (tx) => {
    await tx.recordBackup(backup)
    await tx.recordCopy(sampleCopy(backup, { state: 'proven' }))
    await tx.recordVerification(sampleVerification(backup, { level: 'restore' }))
  })
  const { body } = await health(started.process.http_port, 'metrics')
  expect(body).toContain('salvor_recovery_point_timestamp_seconds{source="clinic",state="proven"} 1764275970.301002')
  expect(body).toContain('salvor_verification_last_success_timestamp_seconds{source="clinic",level="restore"} 1764')
  expect(body).toContain('salvor_backup_last_size_bytes{source="clinic",type="full"} 1000')
  expect(body).toContain('salvor_backup_last_duration_seconds{source="clinic",type="full"} 2.5')
  expect(body).toContain('salvor_copies{store="local",state="corrupt"} 0')
  expect(body).toContain('salvor_copies{store="local",state="proven"} 1')
  for (const secret of [backup.id, backup.filename]) expect(body).not.toContain(secret)
})
