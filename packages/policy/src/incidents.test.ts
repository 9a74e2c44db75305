import type { EventData, EventType, SalvorEvent } from '@salvor/shared/messages/events'
import type { BackupWithCopies, CopyState } from '@salvor/shared/vocabulary/backup'
import { expect, test } from 'vitest'
import { incidentOpenedBy, incidentsEndedBy, isHeldOpen, isOver } from './incidents.ts'

const error = { code: 'SOURCE_UNREACHABLE', message: 'm', hint: 'h', retryable: true }
const copy = { source: 'clinic', backup_id: 'b2', store: 's3' }

function event<T extends EventType>(type: T, data: EventData<T>, time = '2025-11-27T10:00:00.000000Z'): SalvorEvent {
  const envelope = { id: 'e', source: 'verifier', subject: 's', time, correlationid: 'c', causationid: null }
  return { ...envelope, type, data } as SalvorEvent
}
function backup(id: string, day: number, type: BackupWithCopies['type'], state: CopyState): BackupWithCopies {
  const timestamp = `2025-11-${day}T02:00:00.000000Z`
  return {
    id,
    type,
    timestamp,
    consistent_at: timestamp,
    copies: [{ backup_id: id, store: 's3', state }],
  } as unknown as BackupWithCopies
}
const failed = (failures: number, final: boolean, type: 'full' | 'incremental' = 'full') =>
  event('backup.failed', { source: 'clinic', run_id: 'r', type, failures, final, error })
const completed = (type: 'full' | 'incremental' | 'pre_restore') =>
  event('backup.completed', {
    source: 'clinic',
    backup_id: 'b2',
    run_id: 'r',
    type,
    retention_class: type,
    store: 's3',
    filename: 'f',
    size_bytes: 1,
    source_bytes: 1,
    duration_ms: 1,
  })
const copyFailed = (code: string, final = true, what: 'replicate' | 'verify' = 'verify') =>
  event('copy.failed', { ...copy, what, failures: 1, final, error: { ...error, code } })
const corrupt = event('copy.corrupt', { ...copy, level: 'decode', failed_checks: [] })
const verified = (level: 'decode' | 'restore') => event('copy.verified', { ...copy, level, duration_ms: 1 })
const replicated = event('copy.replicated', { ...copy, size_bytes: 1, duration_ms: 1 })
const keys = (found: readonly { key: string }[]) => found.map(({ key }) => key)

test('a first failure that is retried wakes nobody; the second one and a final one do', () => {
  expect(incidentOpenedBy(failed(1, false))).toBeNull()
  expect(incidentOpenedBy(failed(2, false))?.key).toBe('clinic/backup/full')
  expect(incidentOpenedBy(failed(1, true))?.key).toBe('clinic/backup/full')
})

test('a full ends every failing of backups, an incremental only its own, a safety copy none', () => {
  const all = ['clinic/backup/full', 'clinic/backup/incremental', 'clinic/merge']
  expect(keys(incidentsEndedBy(completed('full')))).toEqual(all)
  expect(keys(incidentsEndedBy(completed('incremental')))).toEqual(['clinic/backup/incremental'])
  expect(incidentsEndedBy(completed('pre_restore'))).toEqual([])
})

test('a merge that fails for good is an incident of its own, and one that ends says nothing about backups of the source', () => {
  const merge = (final: boolean): SalvorEvent =>
    event('backup.failed', { source: 'clinic', run_id: 'r', type: 'full', failures: 2, final, error, merge: true })
  expect(incidentOpenedBy(merge(false))).toBeNull()
  expect(incidentOpenedBy(merge(true))?.key).toBe('clinic/merge')
  const { data } = completed('full')
  const merged = event('backup.completed', { ...(data as EventData<'backup.completed'>), merged: 3 })
  expect(keys(incidentsEndedBy(merged))).toEqual(['clinic/merge'])
  const newer = { ...backup('b3', 28, 'full', 'completed'), consistent_at: '2025-11-27T09:00:00.000000Z' }
  expect(isOver(failed(4, true), [newer])).toBe(false)
  expect(isOver(merge(true), [newer])).toBe(true)
})

test('a missing program is no incident, failed checks are one of the source, anything else one of the store', () => {
  expect(incidentOpenedBy(copyFailed('CANNOT_VERIFY_HERE'))).toBeNull()
  expect(incidentOpenedBy(copyFailed('CHECKS_FAILED'))?.key).toBe('clinic/checks')
  expect(incidentOpenedBy(copyFailed('STORE_DENIED'))?.key).toBe('clinic/verify/s3')
  expect(incidentOpenedBy(copyFailed('STORE_DENIED', true, 'replicate'))?.key).toBe('clinic/replicate/s3')
  expect(incidentOpenedBy(copyFailed('STORE_DENIED', false))).toBeNull()
})

test('whatever opens an incident, some event can end it', () => {
  const opened = [failed(4, true), failed(4, true, 'incremental'), corrupt, copyFailed('STORE_DENIED')]
  opened.push(copyFailed('CHECKS_FAILED'), copyFailed('STORE_DENIED', true, 'replicate'))
  opened.push(event('restore.failed', { source: 'clinic', backup_id: null, target: '/t', error }))
  const ends = [completed('full'), verified('restore'), replicated]
  ends.push(
    event('restore.completed', { source: 'clinic', backup_id: 'b', target: '/t', recovered_to: '', duration_ms: 1 }),
  )
  const endable = new Map(ends.flatMap(incidentsEndedBy).map((change) => [change.key, change.opened_by]))
  for (const each of opened) expect(endable.get(incidentOpenedBy(each)!.key)).toBe(each.type)
})

test('a failure that is heard of after the next good backup opens nothing', () => {
  expect(isOver(failed(2, false), [backup('b1', 27, 'full', 'completed')])).toBe(false)
  expect(isOver(failed(2, false), [backup('b2', 28, 'full', 'completed')])).toBe(true)
  expect(isOver(failed(2, false), [backup('b2', 28, 'incremental', 'completed')])).toBe(false)
})

test('corruption that was healed before it is heard of opens nothing', () => {
  expect(isOver(corrupt, [backup('b2', 27, 'full', 'corrupt')])).toBe(false)
  expect(isOver(corrupt, [backup('b2', 27, 'full', 'verified')])).toBe(true)
  expect(isOver(corrupt, [])).toBe(true)
})

test('a copy that arrived after all, or a backup that is gone, opens nothing', () => {
  const late = copyFailed('STORE_DENIED', true, 'replicate')
  expect(isOver(late, [backup('b2', 27, 'full', 'pending')])).toBe(false)
  expect(isOver(late, [{ ...backup('b2', 27, 'full', 'pending'), copies: [] }])).toBe(false)
  expect(isOver(late, [backup('b2', 27, 'full', 'completed')])).toBe(true)
  expect(isOver(late, [])).toBe(true)
})

test('one good copy does not end an incident while another copy in that store is corrupt', () => {
  const [ended] = incidentsEndedBy(verified('decode'))
  const good = backup('b2', 27, 'full', 'verified')
  expect(isHeldOpen(verified('decode'), ended!, [good, backup('b1', 26, 'full', 'corrupt')])).toBe(true)
  expect(isHeldOpen(verified('decode'), ended!, [good, backup('b1', 26, 'full', 'verified')])).toBe(false)
})

test('a newer copy does not end an incident while an older one is still missing in that store', () => {
  const [ended] = incidentsEndedBy(replicated)
  const arrived = backup('b2', 27, 'full', 'completed')
  expect(isHeldOpen(replicated, ended!, [backup('b3', 28, 'full', 'pending'), arrived])).toBe(false)
  expect(isHeldOpen(replicated, ended!, [arrived, backup('b1', 26, 'full', 'pending')])).toBe(true)
})

test('checks that fail are over when the newest full passes them, not an older one', () => {
  expect(keys(incidentsEndedBy(verified('decode')))).not.toContain('clinic/checks')
  const ended = incidentsEndedBy(verified('restore')).find(({ key }) => key === 'clinic/checks')
  const newest = backup('b2', 27, 'full', 'proven')
  expect(isHeldOpen(verified('restore'), ended!, [newest])).toBe(false)
  expect(isHeldOpen(verified('restore'), ended!, [backup('b3', 28, 'full', 'verified'), newest])).toBe(true)
  expect(isHeldOpen(verified('restore'), ended!, [backup('b3', 28, 'incremental', 'verified'), newest])).toBe(false)
})
