import { expect, test } from 'vitest'
import { whyNotSafe } from './web-address.ts'

test('https is taken anywhere, http on this machine only', () => {
  for (const good of [
    'https://hooks.example.com/services/T/B/x',
    'http://127.0.0.1:4000/x',
    'http://[::1]:4000/x',
    'http://localhost/x',
    'http://127.1/x',
  ])
    expect(whyNotSafe(good)).toBeNull()
  for (const bad of [
    'http://hooks.example.com/x',
    'http://10.0.0.1/x',
    'http://127.0.0.1.example.com/x',
    'ftp://127.0.0.1/x',
  ])
    expect(whyNotSafe(bad)).toMatch(/https/)
})

test('a reason never quotes the secret address', () => {
  for (const bad of ['canary', 'http://example.com/canary', 'https://canary:canary@example.com/'])
    expect(whyNotSafe(bad)).not.toMatch(/canary/)
})
