import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Envelope } from './envelope.ts'
import { EVENTS } from './events.ts'
import { JOBS } from './jobs.ts'

// A hash that changes means that services of two versions may talk past each other. Adding an optional field, an event or a
// job is safe: put the new hash here and say so in the commit. Anything else needs a new name beside the old one.
const PINNED: Record<string, string> = {
  envelope: 'e19663ed37f0bfb6',
  'source.registered': '42ddc054edcd2138',
  'source.vanished': '42ddc054edcd2138',
  'backup.started': '6de0dc27c6c319d1',
  'backup.completed': '1312792ab076a028',
  'backup.failed': 'e0a990e9e7c80fa7',
  'copy.replicated': '4568d4b9d890d679',
  'copy.verified': '27f4e2e720470d50',
  'copy.corrupt': '8b590d81406546de',
  'copy.failed': 'ebb53ae1fab75f3d',
  'restore.completed': '41c41f2efa8acd37',
  'restore.failed': '31c1a8c6f2b2058d',
  'plan-tick': '25c7d85c859a6f78',
  'check-stores': '25c7d85c859a6f78',
  'take-backup': 'ef24c9f133e833df',
  'merge-chain': '977feb5c9228cedc',
  'restore-backup': '02c6e07fb3ae3469',
  'verify-copy': 'acda78475ecac0fa',
  'compact-changes': 'b60b84cb6776d464',
  'expire-changes': '42ddc054edcd2138',
  'prove-recovery': 'fc8116edc060f074',
  'recovery.proven': '5e4e7b4a7f99a81d',
  'replicate-copy': '46e481220231ff83',
  'replicate-wal': 'ba94993b17ac4a6c',
  'replicate-changes': '91905ac9361d6667',
  'change-set.stored': 'b0079052df715402',
  'change-stream.failed': 'b6fc28c7ea654a7d',
  'change-stream.recovered': '42ddc054edcd2138',
  'wal-gap.detected': 'ef793f18c23fa38e',
  'wal-segment.stored': 'fa1e4c5f38dfd2e8',
  'wal-stream.failed': 'b6fc28c7ea654a7d',
  'wal-stream.recovered': '42ddc054edcd2138',
  'send-notification': 'eba879e79e6e86fa',
}

const hash = (schema: z.ZodType): string =>
  createHash('sha256')
    .update(JSON.stringify(z.toJSONSchema(schema)))
    .digest('hex')
    .slice(0, 16)

test('no message changed its shape unnoticed', () => {
  const all = { envelope: Envelope, ...EVENTS, ...JOBS }
  expect(Object.fromEntries(Object.entries(all).map(([name, schema]) => [name, hash(schema)]))).toEqual(PINNED)
})

test('event data is strict: a field that the schema does not name is refused', () => {
  expect(EVENTS['source.registered'].safeParse({ source: 'clinic', password: 'x' }).success).toBe(false)
})
