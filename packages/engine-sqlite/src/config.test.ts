import { expect, test } from 'vitest'
import { SqliteConfig } from './config.ts'
import { adapter } from './index.ts'

test('a source is one absolute path, and nothing else', () => {
  expect(SqliteConfig.parse({ path: '/srv/desk/app.db' })).toEqual({ path: '/srv/desk/app.db' })
  expect(() => SqliteConfig.parse({ path: 'app.db' })).toThrow(/absolute/)
  expect(() => SqliteConfig.parse({ path: '/a.db', password: 'x' })).toThrow(/password/)
  expect(() => SqliteConfig.parse({})).toThrow(/path/)
})

test('the adapter says what it can do', () => {
  expect(adapter).toMatchObject({
    kind: 'sqlite',
    artifact: 'db',
    incremental_artifact: 'pages',
    types: ['full', 'incremental'],
    secrets: [],
  })
})
