import { expect, test } from 'vitest'
import { bestCopies, firstStoreFor, storesFor } from './copies.ts'

const rules = {
  copies: [
    { store: 'vault', classes: ['quarterly'] },
    { store: 'local', classes: 'all' as const },
    { store: 's3', classes: ['full', 'monthly'] },
  ],
}
test('a backup goes to each store whose rule names its class, in the order of the file', () => {
  expect(storesFor(rules, 'full')).toEqual(['local', 's3'])
  expect(storesFor(rules, 'quarterly')).toEqual(['vault', 'local'])
})
test('the worker writes to the first store that takes the class', () => {
  expect(firstStoreFor(rules, 'monthly')).toBe('local')
  expect(firstStoreFor({ copies: [] }, 'full')).toBeNull()
})
test('a safety copy before a restore goes where fulls go', () => {
  expect(storesFor(rules, 'pre_restore')).toEqual(['local', 's3'])
})
test('bytes are read from the strongest copy, never from a corrupt or unfinished one', () => {
  const states = ['pending', 'completed', 'corrupt', 'proven', 'verified'] as const
  expect(bestCopies(states.map((state) => ({ state }))).map((c) => c.state)).toEqual([
    'proven',
    'verified',
    'completed',
  ])
})
