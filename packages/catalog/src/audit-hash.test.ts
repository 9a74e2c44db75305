import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { auditHash } from './audit-hash.ts'

const GENESIS = '00'.repeat(32)
const ROW = {
  n: 1,
  at: '2025-11-27T20:39:30.294774Z',
  service: 'cli',
  actor: 'ada',
  action: 'hold.add',
  object: 'backup-1',
  outcome: 'hält',
  correlation_id: null,
}

test('the hash is SHA-256 over the one before and the length-prefixed fields', () => {
  const sized = (text: string) => {
    const bytes = Buffer.from(text, 'utf8')
    return Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
  }
  const fields = ['1', ROW.at, 'cli', 'ada', 'hold.add', 'backup-1', 'hält'].map(sized)
  const bytes = Buffer.concat([Buffer.alloc(32), ...fields, Buffer.alloc(4, 0xff)])
  expect(auditHash(GENESIS, ROW)).toBe(createHash('sha256').update(bytes).digest('hex'))
})
test('the form never changes: chains that are written stay verifiable', () => {
  expect(auditHash(GENESIS, ROW)).toBe('b377f5c79f74b37a1407b5191977761f1df65b0ae2bb00667d0f45beb3b5ce2d')
})
test('two rows that differ anywhere have different hashes', () => {
  const text = fc.string({ maxLength: 4 })
  const row = fc.record({
    n: fc.nat(9),
    at: text,
    service: text,
    actor: text,
    action: text,
    object: text,
    outcome: text,
    correlation_id: fc.option(text),
  })
  fc.assert(
    fc.property(row, row, (a, b) => {
      expect(auditHash(GENESIS, a) === auditHash(GENESIS, b)).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
  )
})
