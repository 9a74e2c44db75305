import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from './redis.ts'

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { retryStrategy: () => null })
  try {
    return await question(client)
  } finally {
    client.disconnect()
  }
}

test('a real Redis answers, and forgets everything when it is killed', async () => {
  await using redis = await startRedis({ policy: 'noeviction' })
  await ask(redis.url, (client) => client.set('a', '1'))
  await redis.kill9()
  await redis.restart()
  expect(await ask(redis.url, (client) => client.get('a'))).toBeNull()
})

test('an append-only Redis remembers over a restart', async () => {
  await using redis = await startRedis({ appendonly: true })
  await ask(redis.url, (client) => client.set('a', '1'))
  await redis.restart()
  expect(await ask(redis.url, (client) => client.get('a'))).toBe('1')
})

test('a Redis can be started with an eviction policy that Salvor refuses', async () => {
  await using redis = await startRedis({ policy: 'allkeys-lru' })
  expect(await ask(redis.url, (client) => client.info('memory'))).toContain('maxmemory_policy:allkeys-lru')
})
