import { expect, test } from 'vitest'
import { serverError } from './server-error.ts'

test('of what a server says, only severity, code and the primary message are kept', () => {
  const fields =
    'SFEHLER\0VERROR\0C23505\0Mduplicate key\nvalue\u001b[31m\0DKey (name)=(Erika Mustermann) exists.\0HErika\0WErika\0\0'
  const error = serverError(Buffer.from(fields))
  expect(error).toMatchObject({
    severity: 'ERROR',
    sqlState: '23505',
    message: 'duplicate key value [31m',
    fatal: false,
  })
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('Erika')
})
