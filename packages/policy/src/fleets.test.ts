import { expect, test } from 'vitest'
import { believedGone, fleetOf } from './fleets.ts'

const fleets = new Map([
  ['tenants', { found: 2, unread: null, left_out: [] }],
  ['closed', { found: 0, unread: '/srv/closed cannot be looked at (EACCES)', left_out: [] }],
  ['empty', { found: 0, unread: null, left_out: [] }],
])

test('a source belongs to the one that its name begins with, as a whole part', () => {
  expect(fleetOf('tenants/a.db', fleets)).toBe('tenants')
  expect(fleetOf('tenants/a/b.db', fleets)).toBe('tenants')
  for (const other of ['tenants', 'tenants2/a.db', 'desk', '/a.db', '']) expect(fleetOf(other, fleets)).toBeNull()
  expect(fleetOf('tenants/a.db', undefined)).toBeNull()
})

test('a file is gone where others are left; a place that is closed or empty says nothing about its files', () => {
  const missing = ['tenants/a.db', 'closed/b.db', 'empty/c.db', 'desk']
  expect(believedGone(missing, fleets)).toEqual(['tenants/a.db', 'desk'])
  expect(believedGone(missing, undefined)).toEqual(missing)
})
