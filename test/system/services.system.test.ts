import { createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { startReceiver } from '@salvor/testkit/real/message-receiver'
import { startRedis } from '@salvor/testkit/real/redis'
import { expect, test } from 'vitest'
import { makeHome, until, type Home } from './salvor.ts'

interface Listed {
  backups: { id: string; source: string; state: string; copies: { store: string; state: string }[] }[]
}
const SERVICES = ['scheduler', 'backup-worker', 'verifier', 'replicator', 'notifier'] as const

async function stage(home: Home, redisUrl: string, slackUrl: string, more = ''): Promise<void> {
  createClinic(home.path('desk.db'), { rows: 800 })
  await home.configure(`
redis: { url: ${redisUrl} }
stores:
  local: { kind: local, path: ./backups }
  second: { kind: local, path: ./second }
sources:
  desk: { engine: sqlite, path: ./desk.db${more} }
notify:
  slack: { kind: slack, url: "${slackUrl}" }
`)
}

async function listed(home: Home): Promise<Listed['backups']> {
  const ended = await home.run('list', '--json')
  return ended.code === 0 ? ended.json<Listed>().backups : []
}
const proven = async (home: Home) =>
  (await listed(home)).find((b) => b.state === 'proven' && b.copies.every((c) => c.state !== 'pending'))

test('five services bring a new source from its first backup to a proven one, in two places, and tell it once', async () => {
  await using home = await makeHome()
  await using redis = await startRedis()
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl)
  await using _writer = await startWriter(home.path('desk.db'), { tps: 50 })
  for (const name of SERVICES) home.service(name)
  const backup = await until('a proven backup with two copies', () => proven(home))
  await until('a message', async () => slack.messages.length > 0)
  const completed = slack.messages.filter((message) => JSON.stringify(message.body).includes('completed'))
  expect(completed).toHaveLength(1)
  expect(backup.copies.map((copy) => copy.store)).toEqual(['local', 'second'])
  const status = (await home.run('status', '--json')).json<{
    services: string[]
    sources: { state: string; rto_seconds: number | null }[]
  }>()
  expect(status.services.toSorted()).toEqual([...SERVICES].toSorted())
  expect(status.sources[0]).toMatchObject({ state: 'proven' })
})

test('a command beside running services is done by them', async () => {
  await using home = await makeHome()
  await using redis = await startRedis()
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl)
  for (const name of SERVICES) home.service(name)
  await until('the first backup', async () => (await listed(home)).length > 0)
  const began = performance.now()
  const ended = await home.run('backup', 'desk', '--json')
  expect(ended.code, ended.stdout + ended.stderr).toBe(0)
  expect(performance.now() - began).toBeLessThan(20_000)
  expect((await listed(home)).length).toBe(2)
})

test('each service killed with -9 in mid-work comes back and the work is finished, once', async () => {
  await using home = await makeHome()
  await using redis = await startRedis()
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl, ', schedule: { full: "*/10 * * * * *" }')
  const services = new Map(SERVICES.map((name) => [name, home.service(name)]))
  await until('a first backup', async () => (await listed(home)).length > 0)
  for (const name of SERVICES) {
    await services.get(name)?.kill('SIGKILL')
    services.set(name, home.service(name))
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
  const before = (await listed(home)).length
  await until(
    'a later backup that is proven in both places',
    async () => {
      const backups = await listed(home)
      return (
        backups.length > before &&
        backups.slice(0, -1).some((b) => b.state === 'proven' && b.copies.every((c) => c.state !== 'pending'))
      )
    },
    120_000,
  )
  const ids = slack.messages.map((message) => JSON.stringify(message.body))
  expect(new Set(ids).size).toBe(ids.length)
})

test('a flushed Redis and a restarted one cost no work', async () => {
  await using home = await makeHome()
  await using redis = await startRedis()
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl)
  for (const name of SERVICES) home.service(name)
  await until('a proven backup', () => proven(home))
  await redis.kill9()
  const queued = home.run('backup', 'desk', '--json')
  await new Promise((resolve) => setTimeout(resolve, 3000))
  await redis.restart()
  expect((await queued).code).toBe(0)
  await until(
    'both backups proven',
    async () => (await listed(home)).filter((b) => b.state === 'proven').length === 2,
    120_000,
  )
})

test('while the scheduler is down the rest works, and while Redis is away alerts go out', async () => {
  await using home = await makeHome()
  await using redis = await startRedis()
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl)
  for (const name of SERVICES) if (name !== 'scheduler') home.service(name)
  await until('the worker is there', async () => (await home.run('status', '--json')).stdout.includes('backup-worker'))
  expect((await home.run('backup', 'desk')).code).toBe(0)
  await redis.kill9()
  await home.run('backup', 'desk')
  const seen = slack.messages.length
  createClinic(home.path('other.db'), { rows: 1 })
  const { rename } = await import('node:fs/promises')
  await rename(home.path('desk.db'), home.path('gone.db'))
  const failing = await home.run('backup', 'desk', '--json')
  expect(failing.code).toBe(1)
  await until(
    'an alert without Redis',
    async () => slack.messages.slice(seen).some((m) => /failed/i.test(JSON.stringify(m.body))),
    60_000,
  )
})

test('a Redis that evicts keys is refused with the command that mends it', async () => {
  await using home = await makeHome()
  await using redis = await startRedis({ policy: 'allkeys-lru' })
  await using slack = await startReceiver()
  await stage(home, redis.url, slack.slackUrl)
  const ended = await home.run('service', 'verifier', '--json')
  expect([ended.code, ended.json<{ error: { code: string; hint: string } }>().error]).toMatchObject([
    2,
    { code: 'REDIS_POLICY', hint: expect.stringContaining('noeviction') },
  ])
})
