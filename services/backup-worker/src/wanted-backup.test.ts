import type { Deps, FleetSettings } from '@salvor/shared/ports/service'
import { expect, test } from 'vitest'
import { wantedBackup } from './wanted-backup.ts'

const fleets = new Map<string, FleetSettings>([
  ['tenants', { found: 2, unread: null, left_out: [] }],
  ['closed', { found: 0, unread: '/srv/closed cannot be looked at (EACCES)', left_out: [] }],
])
fleets.set('empty', { found: 0, unread: null, left_out: [] })
const deps = { settings: () => ({ sources: new Map(), fleets }) } as unknown as Deps
const wish = { type: 'full', retention_class: 'full', trigger: 'schedule', scheduled_for: null } as const

test('a file that cannot be seen fails with the reason; a name that the configuration does not know is unknown', () => {
  const wanted = (source: string) => () => wantedBackup({ ...wish, source }, deps)
  expect(wanted('closed/a.db')).toThrow('`paths` of closed, cannot be read: /srv/closed cannot be looked at (EACCES)')
  expect(wanted('empty/a.db')).toThrow('`paths` of empty, cannot be read: not one file is there')
  expect(wanted('tenants/a.db')).toThrow('No source is called tenants/a.db')
  expect(wanted('tenants')).toThrow('tenants stands for 2 files, each a source of its own: name one')
  expect(wanted('desk')).toThrow('No source is called desk')
})
