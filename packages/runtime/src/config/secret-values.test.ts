import { expect, test } from 'vitest'
import { secretParts } from './secret-values.ts'

test.each([
  'postgres://backup:s%2Fcret@db/clinic',
  'postgres://backup:s%2Fcret@db1:5433,db2:5434/clinic?target_session_attrs=any',
  'postgres://backup@db1,db2/clinic?password=s/cret',
])('the password within %s is a secret of its own', (url) => {
  expect(secretParts(url)).toContain('s/cret')
})
