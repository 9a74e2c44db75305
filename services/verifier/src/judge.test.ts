import { expect, test } from 'vitest'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { judge } from './judge.ts'
import type { Seen } from './look.ts'

const backup = { id: 'b1', source: 'clinic' }
const looked = { id: 'v1', started_at: '2026-01-01T00:00:00.000000Z', duration_ms: 5 }
const check = (name: string, ok: boolean): Check => ({ name, ok, detail: 'd', duration_ms: 1 })
const seen = (checks: readonly Check[], reached: Seen['reached'] = 'restore'): Seen => ({
  checks,
  reached,
  unproven: null,
  restore_ms: 1,
})

test('a copy that the engine accepts is proven', () => {
  const { verification, event } = judge(backup, 's3', 'restore', seen([check('integrity_check', true)]), looked)
  expect(verification).toMatchObject({ level: 'restore', ok: true })
  expect(event.type).toBe('copy.verified')
})
test('a copy that the engine refuses is corrupt, and the message names what failed', () => {
  const { verification, event } = judge(
    backup,
    's3',
    'restore',
    seen([check('integrity_check', false), check('frames', true)]),
    looked,
  )
  expect(verification).toMatchObject({ level: 'restore', ok: false })
  expect(event).toMatchObject({ type: 'copy.corrupt', data: { failed_checks: ['integrity_check: d'] } })
})
test('a failing check of the operator leaves the copy decoded but not proven, and somebody is told', () => {
  const checks = [check('integrity_check', true), check('check: SELECT 1 = 2', false)]
  const { verification, event } = judge(backup, 's3', 'restore', seen(checks), looked)
  expect(verification).toMatchObject({ level: 'decode', ok: true })
  expect(event).toMatchObject({
    type: 'copy.failed',
    data: { what: 'verify', final: true, error: { code: 'CHECKS_FAILED' } },
  })
})
test('where no server could be started the copy counts as decoded', () => {
  const { verification } = judge(
    backup,
    's3',
    'restore',
    { ...seen([check('frames', true)], 'decode'), unproven: 'no PostgreSQL 18' },
    looked,
  )
  expect(verification).toMatchObject({ level: 'decode', ok: true })
})
