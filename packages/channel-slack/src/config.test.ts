import { expect, test } from 'vitest'
import { adapter } from './index.ts'

test('an address without TLS is refused at load, and the refusal does not repeat it', () => {
  expect(adapter.schema.safeParse({ url: 'https://hooks.slack.com/services/T/B/x' }).success).toBe(true)
  for (const url of ['http://hooks.slack.com/services/canary', 'canary', 'https://canary@example.com/'])
    expect(adapter.schema.safeParse({ url }).error?.message).toMatch(/^(?!.*canary)[^]*the webhook address/)
  expect(adapter.schema.safeParse({ url: 'https://example.com/', channel: '#x' }).success).toBe(false)
})
