import { startRedis } from '@salvor/testkit/real/redis'
import { expect, test } from 'vitest'
import { memoryLog, until } from '../world.fixture.ts'
import { Queues } from './queues.ts'
import { openRedis } from './redis-link.ts'
import { Workers } from './workers.ts'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'

test('a message that a stopping process refuses goes to another one at once', async () => {
  await using redis = await startRedis({ policy: 'noeviction' })
  const log = memoryLog()
  await using link = await openRedis(redis.url, log)
  const queues = new Queues(link, 'test')
  const seen: string[] = []
  const consumer = (name: string, how: 'taken' | 'refused') => ({
    queue: 'take-backup',
    concurrency: 1,
    async take() {
      seen.push(name)
      return how
    },
  })
  const stopping = new Workers(link, 'test', [consumer('stopping', 'refused')], log)
  stopping.start()
  await queues.sendRuns([{ id: ID, job: 'take-backup', pool: null, turn: 1, delay_ms: 0 }])
  await until(() => seen.includes('stopping'))
  await stopping.pause()
  await using other = new Workers(link, 'test', [consumer('other', 'taken')], log)
  other.start()
  await until(() => seen.includes('other'))
  await until(async () => (await queues.queue('take-backup').getJobCounts('completed'))['completed'] === 1)
  expect(seen.at(-1)).toBe('other')
  await stopping[Symbol.asyncDispose]()
  await queues.close()
})

test('a later turn of a run that still waits in the queue replaces its message', async () => {
  await using redis = await startRedis({ policy: 'noeviction' })
  await using link = await openRedis(redis.url, memoryLog())
  const queues = new Queues(link, 'test')
  for (let turn = 1; turn <= 5; turn++) {
    await queues.sendRuns([{ id: ID, job: 'take-backup', pool: 'site-a', turn, delay_ms: turn % 2 ? 0 : 60_000 }])
  }
  const queue = queues.queue('take-backup.site-a')
  const counts = await queue.getJobCounts('waiting', 'delayed')
  expect([counts['waiting'], counts['delayed']]).toEqual([1, 0])
  await queues.close()
})

test('an event that waits in the queue is not sent a second time', async () => {
  await using redis = await startRedis({ policy: 'noeviction' })
  await using link = await openRedis(redis.url, memoryLog())
  const queues = new Queues(link, 'test')
  const message = { event_id: ID, service: 'notifier' } as const
  await queues.sendEvents([message])
  await queues.sendEvents([message])
  await queues.sendEvents([message], true)
  expect((await queues.queue('inbox-notifier').getJobCounts('waiting'))['waiting']).toBe(1)
  await queues.close()
})

test('a wrong password is told without the password', async () => {
  await using redis = await startRedis({ policy: 'noeviction' })
  const lines: Parameters<typeof memoryLog>[0] = []
  await using link = await openRedis(redis.url.replace('redis://', 'redis://user:canary-password@'), memoryLog(lines))
  expect(link.usable).toBe(false)
  expect(link.problem?.code).toBe('REDIS_UNREACHABLE')
  expect(link.problem?.message).not.toContain('canary')
})
