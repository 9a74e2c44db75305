import { expect, test } from 'vitest'
import { missingPart, speakableError } from './speakable.ts'

const failed = (message: string): Error => Object.assign(new Error(message), { code: 'SQLITE_ERROR' })

test('a mistake in a check is told with the name that the check itself holds', () => {
  expect(speakableError(failed('no such table: patients'), 'SELECT 1 FROM patients')).toBe(
    'SQLITE_ERROR: no such table patients',
  )
  expect(speakableError(failed('near "FORM": syntax error'), 'SELECT 1 FORM x')).toBe(
    'SQLITE_ERROR: near FORM: syntax error',
  )
})

test('no value of a row gets into the text of a failed check', () => {
  const sql = 'SELECT 1 FROM notes WHERE notes MATCH (SELECT name FROM patients)'
  expect(speakableError(failed('fts5: syntax error near "O\'Hara"'), sql)).toBe('SQLITE_ERROR')
  expect(speakableError(failed('no such column: Smith'), sql)).toBe('SQLITE_ERROR: no such column …')
  expect(speakableError(failed("bad JSON path: 'Jane Doe'"), sql)).toBe('SQLITE_ERROR')
})

test('a part of the application that Salvor does not have is named', () => {
  expect(missingPart(failed('no such collation sequence: SWEDISH'), '')).toBe('collation sequence SWEDISH')
  expect(missingPart(failed('no such module: vec0'), '')).toBe('module vec0')
  expect(missingPart(failed('no such function: phone_key'), '')).toBe('function phone_key')
})

test('a function that only the check names is a mistake of the check', () => {
  expect(missingPart(failed('no such function: cuont'), 'SELECT cuont(*) FROM t')).toBeNull()
})
