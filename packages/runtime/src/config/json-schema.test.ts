import { expect, test } from 'vitest'
import { fakeAdapters } from './fake-adapters.fixture.ts'
import { configJsonSchema } from './json-schema.ts'

interface Published {
  readonly properties: Readonly<Record<string, unknown>>
  readonly additionalProperties: boolean
}

test('the published schema has every section, and a form for each kind that is installed', async () => {
  const schema = (await configJsonSchema(fakeAdapters())) as Published
  expect(Object.keys(schema.properties).toSorted()).toEqual([
    'catalog',
    'data_dir',
    'encryption',
    'http',
    'notify',
    'redis',
    'sandbox_dir',
    'sources',
    'stores',
    'timezone',
    'verifier',
    'worker',
  ])
  expect(schema.additionalProperties).toBe(false)
  expect(schema.properties['stores']).toMatchObject({
    additionalProperties: {
      anyOf: [
        {
          properties: { kind: { const: 'bucket' }, bucket: { type: 'string' }, secret_key: {}, secret_key_file: {} },
          required: ['kind', 'bucket'],
          allOf: [{ oneOf: [{ required: ['secret_key'] }, { required: ['secret_key_file'] }] }],
          additionalProperties: false,
        },
        { properties: { kind: { const: 'disk' }, path: {}, limit: {} }, required: ['kind', 'path'] },
      ],
    },
  })
  expect(schema.properties['sources']).toMatchObject({
    additionalProperties: {
      anyOf: [{ properties: { engine: { const: 'filedb' }, schedule: {}, checks: {}, path: {} } }],
    },
  })
  expect(schema.properties['catalog']).toMatchObject({ properties: { url: {}, url_file: {} } })
})

test('an editor takes a variable wherever a value may stand, and knows no key of later', async () => {
  const schema = (await configJsonSchema(fakeAdapters())) as Published
  const variable = { $ref: '#/$defs/variable' }
  expect(schema.properties['http']).toMatchObject({ properties: { port: { anyOf: [{ type: 'integer' }, variable] } } })
  expect(schema.properties['timezone']).toMatchObject({ type: 'string' })
  expect(JSON.stringify(schema)).toContain('"limit":{"anyOf"')
  expect(JSON.stringify(schema)).not.toContain('"later"')
})
