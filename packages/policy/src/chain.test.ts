import type { BackupWithCopies, Copy, CopyState } from '@salvor/shared/vocabulary/backup'
import { expect, test } from 'vitest'
import { copiesToRead, isStretchable, possibleParents, whyNoParent } from './chain.ts'

const copy = (store: string, state: CopyState): Copy => ({
  backup_id: 'b',
  store,
  state,
  key: `s/${store}`,
  stored_at: null,
  upload: null,
})
const backup = (over: Partial<BackupWithCopies>): BackupWithCopies =>
  ({
    type: 'full',
    state: 'completed',
    filename: 'f',
    consistent_at: '2026-01-01',
    copies: [copy('local', 'completed')],
    ...over,
  }) as BackupWithCopies
const chainOf = (increments: number): BackupWithCopies[] => [
  backup({}),
  ...Array.from({ length: increments }, () => backup({ type: 'incremental' })),
]

test('a chain takes increments up to its longest', () => {
  expect(whyNoParent(chainOf(0), { max_chain: 1 })).toBeNull()
  expect(whyNoParent(chainOf(29), { max_chain: 30 })).toBeNull()
  expect(whyNoParent(chainOf(30), { max_chain: 30 })).toContain('30 incrementals')
})

test('a chain that is merged meanwhile goes on to twice its length, one that a full follows does not', () => {
  expect(isStretchable(chainOf(30), { max_chain: 30, at_max_chain: 'full' })).toBe(false)
  expect(isStretchable(chainOf(59), { max_chain: 30, at_max_chain: 'merge' })).toBe(true)
  expect(isStretchable(chainOf(60), { max_chain: 30, at_max_chain: 'merge' })).toBe(false)
})

test('of one state, the full that was merged goes before the chain that it was made of', () => {
  const found = possibleParents([
    backup({ id: 'tip', type: 'incremental', parent: 'full' }),
    backup({ id: 'merged', parent: null }),
  ])
  expect(found.map(({ id }) => id)).toEqual(['merged', 'tip'])
})

test('nothing is built upon a backup whose copies are all bad, wherever it stands in the chain', () => {
  const chain = [
    backup({ filename: 'backup_full_1', copies: [copy('local', 'corrupt'), copy('s3', 'pending')] }),
    backup({ type: 'incremental' }),
  ]
  expect(whyNoParent(chain, { max_chain: 30 })).toContain('backup_full_1')
})

test('a corrupt backup and a pre_restore one are no parents; the newest state comes first', () => {
  const found = possibleParents([
    backup({ id: 'old' }),
    backup({ id: 'bad', state: 'corrupt', consistent_at: '2026-01-03' }),
    backup({ id: 'safety', type: 'pre_restore', consistent_at: '2026-01-04' }),
    backup({ id: 'new', consistent_at: '2026-01-02' }),
  ])
  expect(found.map(({ id }) => id)).toEqual(['new', 'old'])
})

test('a chain is read from the named store where it has good copies, and from the best elsewhere', () => {
  const full = backup({ copies: [copy('local', 'completed'), copy('s3', 'proven')] })
  const increment = backup({ copies: [copy('local', 'verified'), copy('s3', 'corrupt')] })
  const stores = (store: string | null) => copiesToRead([full, increment], store).map((one) => one?.store)
  expect(stores('local')).toEqual(['local', 'local'])
  expect(stores('s3')).toEqual(['s3', 'local'])
  expect(stores(null)).toEqual(['s3', 'local'])
  expect(copiesToRead([backup({ copies: [copy('s3', 'pending')] })], null)).toEqual([null])
})
