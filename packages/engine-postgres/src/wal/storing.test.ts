import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { expect, test } from 'vitest'
import { Storing } from './storing.ts'

test('a stream that ends waits for what is under way and begins nothing more, so that nobody is left in its spool', async () => {
  const stop = new AbortController()
  const stored: bigint[] = []
  const storing = new Storing(stop.signal, (end) => void stored.push(end))
  let inSpool = 0
  const piece = (end: bigint, fails = false) => ({
    end,
    async store() {
      inSpool++
      await sleep(20)
      inSpool--
      if (fails) throw new SalvorError('STORE_UNREACHABLE', { store: 's3', reason: 'away' })
    },
    drop: () => Promise.resolve(),
  })
  storing.add(piece(1n))
  while (stored.length === 0) await sleep(1)
  for (const [end, fails] of [
    [2n, false],
    [3n, true],
    [4n, false],
    [5n, false],
  ] as const)
    storing.add(piece(end, fails))
  await sleep(5)
  expect(inSpool).toBe(3)
  stop.abort()
  await storing.ended()
  expect(inSpool).toBe(0)
  // Stored in order: nothing behind one that is not.
  expect(stored).toEqual([1n, 2n])
  await sleep(50)
  expect(inSpool).toBe(0)
})
