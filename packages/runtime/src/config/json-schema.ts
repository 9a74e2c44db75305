import { Name, SourcePolicy } from '@salvor/shared/vocabulary/source'
import { z } from 'zod'
import { installedAdapters, type AdapterRole, type Adapters } from '../adapters/installed-adapters.ts'
import { Route, SECTION_SECRETS, SECTIONS } from './file-schema.ts'
import { PATHS } from './read-files.ts'
import { inputSchema, type JsonSchema } from './schema-keys.ts'

/** The published JSON Schema of `salvor.yaml`, over the adapters that are installed: editors complete and check by it. */
export async function configJsonSchema(adapters: Adapters = installedAdapters): Promise<object> {
  const policy = inputSchema(SourcePolicy)
  const { engine: _engine, ...shared } = policy.properties ?? {}
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'salvor.yaml',
    type: 'object',
    additionalProperties: false,
    required: ['stores', 'sources'],
    $defs: { variable: { type: 'string', pattern: '\\$\\{' } },
    properties: {
      ...sections(),
      stores: named(await kinds('store', 'kind', {}, adapters), {}),
      sources: named(await kinds('engine', 'engine', shared, adapters), {}),
      notify: named(await kinds('channel', 'kind', {}, adapters), { routes: plain(z.array(Route)) }),
    },
  }
}

function sections(): Record<string, JsonSchema> {
  const entries = Object.entries(SECTIONS).map(([key, schema]): [string, JsonSchema] => {
    const secrets: readonly string[] = key === 'catalog' || key === 'redis' ? SECTION_SECRETS[key] : []
    return [key, withFiles(plain(schema), secrets)]
  })
  return Object.fromEntries(entries)
}

/** One form for each kind of a role, told apart by the word under `key`. */
async function kinds(
  role: AdapterRole,
  key: string,
  shared: Readonly<Record<string, JsonSchema>>,
  adapters: Adapters,
): Promise<readonly JsonSchema[]> {
  const forms: JsonSchema[] = []
  for (const kind of await adapters.kinds(role)) {
    const adapter = await adapters.load(role, kind)
    if (!adapter) continue
    const own = withFiles(plain(adapter.schema), adapter.secrets)
    const single = {
      ...own,
      type: 'object',
      properties: { [key]: { const: kind }, ...shared, ...own.properties },
      required: [key, ...(own.required ?? [])],
      additionalProperties: false,
    }
    forms.push('findFiles' in adapter ? withPaths(single) : single)
  }
  return forms
}

/** `paths` in the place of `path`. */
function withPaths(form: JsonSchema): JsonSchema {
  return {
    ...form,
    properties: { ...form.properties, paths: plain(PATHS) },
    required: (form.required ?? []).filter((name) => name !== 'path'),
    oneOf: [{ required: ['path'] }, { required: ['paths'] }],
  }
}

function named(forms: readonly JsonSchema[], fixed: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const { $schema: _, ...names } = inputSchema(Name)
  const propertyNames = Object.keys(fixed).length === 0 ? names : { anyOf: [names, { enum: Object.keys(fixed) }] }
  return { type: 'object', propertyNames, properties: fixed, additionalProperties: { anyOf: forms } }
}

/** `<secret>_file` beside each secret; one of the two where the secret is required. */
function withFiles(schema: JsonSchema, secrets: readonly string[]): JsonSchema {
  if (secrets.length === 0) return schema
  const files = secrets.map((name) => [`${name}_file`, { type: 'string', description: `File that holds ${name}` }])
  const needed = secrets.filter((name) => schema.required?.includes(name))
  return {
    ...schema,
    properties: { ...schema.properties, ...(Object.fromEntries(files) as Record<string, JsonSchema>) },
    required: (schema.required ?? []).filter((name) => !secrets.includes(name)),
    ...(needed.length > 0 && {
      allOf: needed.map((name) => ({ oneOf: [{ required: [name] }, { required: [`${name}_file`] }] })),
    }),
  }
}

function plain(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = inputSchema(schema)
  return written(rest)
}

/** As it may be written in the file: any scalar can be a variable. Keys of later features are left out. */
function written(schema: JsonSchema): JsonSchema {
  const scalar = ['string', 'number', 'integer', 'boolean'].includes(schema.type ?? '')
  if (scalar) return isFree(schema) ? schema : { anyOf: [schema, { $ref: '#/$defs/variable' }] }
  const { properties, items, anyOf, additionalProperties: rest } = schema
  const known = Object.entries(properties ?? {}).filter(([, value]) => value['not'] === undefined)
  return {
    ...schema,
    ...(properties && { properties: Object.fromEntries(known.map(([key, value]) => [key, written(value)])) }),
    ...(items && { items: written(items) }),
    ...(anyOf && { anyOf: anyOf.map(written) }),
    ...(typeof rest === 'object' && { additionalProperties: written(rest) }),
  }
}

/** Takes any text, so a variable too. */
function isFree({ type, pattern, format, enum: words, const: word }: JsonSchema): boolean {
  return type === 'string' && [pattern, format, words, word].every((limit) => limit === undefined)
}
