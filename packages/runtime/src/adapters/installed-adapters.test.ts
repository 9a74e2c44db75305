import { expect, test } from 'vitest'
import { installedAdapters } from './installed-adapters.ts'

test('adapters are found by their folders', async () => {
  expect(await installedAdapters.kinds('engine')).toEqual(expect.arrayContaining(['postgres', 'sqlite']))
  expect(await installedAdapters.kinds('store')).toEqual(expect.arrayContaining(['azure', 'local', 's3']))
  expect(await installedAdapters.kinds('channel')).toEqual(expect.arrayContaining(['pagerduty', 'slack']))
})

test('an adapter is loaded by its kind', async () => {
  expect(await installedAdapters.load('store', 'local')).toMatchObject({ kind: 'local' })
})

test.each(['tape', '', '../store-local', 'local/../../x', 'Local', '__proto__'])(
  'there is none of kind %j',
  async (kind) => {
    expect(await installedAdapters.load('store', kind)).toBeNull()
  },
)
