import { CODES, type ErrorCode } from '@salvor/shared/errors/codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EventData, EventType, SalvorEvent } from '@salvor/shared/messages/events'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import type { Notification } from '@salvor/shared/ports/channel'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { expect, test } from 'vitest'
import { describe as describeEvent, type Background } from './describe.ts'
import { notifier } from './service.ts'

const nothing: Background = { backup: null, lastGood: null }
const backup = {
  id: '019ac6f2-5b1e-7000-8000-000000000001',
  filename: 'backup_full_20251127_203930.db.zst',
  consistent_at: '2025-11-27T20:39:30.294774Z',
  state: 'proven',
  retention_until: '2025-12-27T20:39:30.294774Z',
  copies: [
    { store: 'local', state: 'corrupt' },
    { store: 's3', state: 'verified' },
    { store: 'azure', state: 'pending' },
  ],
} as unknown as BackupWithCopies

function tell<T extends EventType>(
  type: T,
  data: EventData<T>,
  background: Partial<Background> = {},
  incident: Notification['incident'] = null,
): Notification {
  const time = '2025-11-28T02:00:09.000000Z'
  const event = { id: 'e', type, source: 's', subject: 'clinic', time, correlationid: 'c', causationid: null, data }
  return describeEvent(event as SalvorEvent, { severity: 'error', incident }, { ...nothing, ...background })
}
const facts = ({ fields }: Notification) => Object.fromEntries(fields.map(({ label, value }) => [label, value]))
const failure = (code: ErrorCode, values: Record<string, string> = {}) => new SalvorError(code, values).toFailure()
const copy = { source: 'clinic', backup_id: backup.id, store: 'local' }
const completed: EventData<'backup.completed'> = {
  source: 'clinic',
  backup_id: backup.id,
  run_id: 'r',
  type: 'full',
  retention_class: 'monthly',
  store: 'local',
  filename: backup.filename,
  size_bytes: 1_234_567_890,
  source_bytes: 4_800_000_000,
  duration_ms: 192_000,
}

test('a merge says that the source was not read, and one that failed what happens without it', () => {
  const told = tell('backup.completed', { ...completed, merged: 31 }, { backup })
  expect(facts(told)['Made of']).toBe('31 backups, without reading the source')
  const error = failure('KEY_MISSING', { key: 'k', wanted: 'w' })
  const data = { source: 'clinic', run_id: 'r', type: 'full', failures: 1, final: true, error, merge: true } as const
  const failed = tell('backup.failed', data)
  expect(failed.title).toBe('Chain not merged: clinic')
  expect(failed.text).toContain('a full of the source is taken')
})

test('a completed backup says what was kept, how much of it, where and for how long', () => {
  const told = tell('backup.completed', completed, { backup })
  expect(told.title).toBe('Backup completed: clinic')
  expect(facts(told)).toEqual({
    Source: 'clinic',
    Type: 'full, kept as monthly',
    Size: '1.23 GB (4.80 GB before compression)',
    Duration: '3 min 12 s',
    Store: 'local',
    File: 'backup_full_20251127_203930.db.zst',
    'State of': '2025-11-27 20:39:30 UTC',
    'Kept until': '2025-12-27 20:39:30 UTC',
  })
})

test('a failure says why, what Salvor does about it, what to do, and how far back a restore would go', () => {
  const error = failure('SOURCE_UNREACHABLE', { source: 'clinic', where: 'db:5432', reason: 'ECONNREFUSED' })
  const data = { source: 'clinic', run_id: 'r', type: 'full', failures: 4, final: true, error } as const
  const told = tell('backup.failed', data, { lastGood: backup })
  expect(told.title).toBe('Backup failed: clinic')
  expect(told.text).toBe(
    'Clinic: cannot connect to db:5432: ECONNREFUSED. Salvor has given up on this run. ' +
      'Check that the server runs and that db:5432 is reachable from this machine.',
  )
  expect(told.hint).toBe('salvor backup clinic')
  expect(facts(told)).toMatchObject({
    Failures: '4',
    'Last good': '2025-11-27 20:39:30 UTC (5 h 21 min ago, proven)',
    Error: 'SOURCE_UNREACHABLE',
  })
  const first = tell('backup.failed', { ...data, failures: 1, final: false })
  expect(first.text).toContain('Salvor tries again by itself')
  expect([first.hint, facts(first)['Last good']]).toEqual([null, 'none yet'])
})

test('a corrupt copy names what was found and where the same backup is still good', () => {
  const data: EventData<'copy.corrupt'> = { ...copy, level: 'decode', failed_checks: ['frame 7: bytes differ'] }
  const told = tell('copy.corrupt', data, { backup, lastGood: backup })
  expect(told.title).toBe('Corrupt copy in local: clinic')
  expect(told.text).toBe(
    'Frame 7: bytes differ. The same backup is good in other places: s3 (verified). Nothing was moved or deleted.',
  )
  expect(told.hint).toBe('salvor list clinic')
  const alone = tell('copy.corrupt', { ...data, store: 's3' }, { backup })
  expect(alone.text).toContain('No other good copy of this backup is known')
  expect(alone.hint).toBe('salvor backup clinic')
})

test('what a copy lacks is said in the words of what was tried', () => {
  const title = (what: 'replicate' | 'verify', code: ErrorCode) =>
    tell('copy.failed', { ...copy, what, failures: 3, final: false, error: failure(code) }).title
  expect(title('replicate', 'STORE_UNREACHABLE')).toBe('Copy to local failed: clinic')
  expect(title('verify', 'STORE_UNREACHABLE')).toBe('Copy in local cannot be checked: clinic')
  expect(title('verify', 'CHECKS_FAILED')).toBe('Checks failed on the restored data: clinic')
  expect(title('verify', 'CANNOT_VERIFY_HERE')).toBe('Cannot be proven on this machine: clinic')
})

test('a recovery says that it is one', () => {
  const resolve = (condition: string) => ({ key: `clinic/${condition}`, change: 'resolve' }) as const
  const verified = { ...copy, level: 'restore', duration_ms: 5 } as const
  const titles = [
    tell('backup.completed', completed, {}, resolve('backup/full')),
    tell('copy.verified', verified, {}, resolve('corrupt/local')),
    tell('copy.verified', verified, {}, resolve('verify/local')),
    tell('copy.verified', verified, {}, resolve('checks')),
    tell('copy.replicated', { ...copy, size_bytes: 1, duration_ms: 1 }, {}, resolve('replicate/local')),
  ].map(({ title }) => title)
  expect(titles).toEqual([
    'Backups work again: clinic',
    'No corrupt copy left in local: clinic',
    'Copies in local can be checked again: clinic',
    'Checks pass again: clinic',
    'Copies arrive again in local: clinic',
  ])
})

test('the command of a hint can be copied: it holds a command and nothing else', () => {
  for (const code of Object.keys(CODES) as ErrorCode[]) {
    const { hint, text } = tell('restore.failed', {
      source: 'clinic',
      backup_id: null,
      target: '/t',
      error: failure(code, { command: 'restore' }),
    })
    expect(hint).toMatch(/^salvor [a-z]+( [\w{}.-]+)*$/)
    expect(hint).not.toMatch(/ (shows|writes|then|or) /)
    expect(text).toMatch(/\.$/)
  }
})

test('an event that only a route for everything names is told plainly', () => {
  expect(tell('source.registered', { source: 'clinic' }).title).toBe('source.registered: clinic')
})

test('every event that the table of subscribers gives to the notifier has a handler', () => {
  const heard = Object.entries(SUBSCRIBERS).filter(([, services]) => services.includes('notifier'))
  expect(Object.keys(notifier.subscriptions).sort()).toEqual(heard.map(([type]) => type).sort())
})

test('a file that is gone is named, with what is left of it and how to see that', () => {
  const told = tell('source.vanished', { source: 'tenants/a%20b.db' }, { lastGood: backup })
  expect(told.title).toBe('File gone: tenants/a%20b.db')
  expect(told.text).toContain('no longer backed up. Its backups are kept')
  expect(told.hint).toBe('salvor list tenants/a%20b.db')
  expect(facts(told)['Last good']).toContain('proven')
})

test('a WAL stream that stands still says what to type, and that backups go on', () => {
  const error = failure('WAL_NOT_STREAMED', {
    source: 'clinic',
    reason: 'max_slot_wal_keep_size is -1',
    fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'",
  })
  const told = tell('wal-stream.failed', { source: 'clinic', error }, { lastGood: backup })
  expect(told.title).toBe('WAL is not streamed: clinic')
  expect(told.text).toContain('Backups go on')
  expect(told.text).toContain('ALTER SYSTEM SET max_slot_wal_keep_size')
  expect(facts(told)['Last good']).toContain('2025-11-27 20:39')
})

test('a gap in the WAL is told with both ends', () => {
  const ends = { timeline: 1, from_lsn: '0/3000000', to_timeline: 1, to_lsn: '0/5000000' }
  const told = tell('wal-gap.detected', { source: 'clinic', ...ends, reason: 'the slot was lost' })
  expect(told.text).toContain('from 0/3000000 to 0/5000000')
  expect(told.text).toContain('new full backup')
  expect(told.hint).toBe('salvor window clinic')
})
