import { expect, test } from 'vitest'
import { standbyNames } from './synchronous.ts'

test('names of synchronous standbys are read in every form that the server takes', () => {
  expect(standbyNames('')).toEqual([])
  expect(standbyNames('*')).toEqual(['*'])
  expect(standbyNames('salvor_clinic, db2')).toEqual(['salvor_clinic', 'db2'])
  expect(standbyNames('FIRST 2 (Salvor_Clinic, "My ""own"" db", *)')).toEqual(['salvor_clinic', 'my "own" db', '*'])
  expect(standbyNames(' any 1 (db2,salvor_clinic) ')).toEqual(['db2', 'salvor_clinic'])
  expect(standbyNames('2 (a, b)')).toEqual(['a', 'b'])
})
