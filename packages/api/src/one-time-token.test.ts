import { expect, test } from 'vitest'
import { OneTimeToken } from './one-time-token.ts'

test('the token opens the door once; after that only the session does', () => {
  const gate = new OneTimeToken('first', () => 'session-1')
  expect(gate.exchange('wrong')).toBeNull()
  const session = gate.exchange('first')
  expect(session).toBe('session-1')
  expect(gate.exchange('first')).toBeNull()
  expect(gate.admits('session-1')).toBe(true)
  expect(gate.admits('session-2')).toBe(false)
  expect(gate.admits(undefined)).toBe(false)
})
