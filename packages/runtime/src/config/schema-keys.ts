import { z } from 'zod'
import type { KeyPath } from './problems.ts'

export interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly [keyword: string]: unknown
}

/** What may be written for a schema, defaults left out. */
export function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
}

/** Keys that a mapping may have there. Null: the schema does not say. */
export function knownKeysAt(schema: z.ZodType, path: KeyPath): readonly string[] | null {
  // The whole schema of a mapping takes ten times as long as the rest of a block, and every command reads several.
  if (path.length === 0 && schema instanceof z.ZodObject) return Object.keys(schema.shape)
  let places: readonly JsonSchema[] = forms(inputSchema(schema))
  for (const part of path) places = places.flatMap((place) => below(place, part)).flatMap(forms)
  const keys = new Set(places.flatMap((place) => Object.keys(place.properties ?? {})))
  return keys.size === 0 ? null : [...keys]
}

function below(place: JsonSchema, part: string | number): readonly JsonSchema[] {
  if (typeof part === 'number') return place.items ? [place.items] : []
  const named = place.properties?.[part]
  if (named) return [named]
  return typeof place.additionalProperties === 'object' ? [place.additionalProperties] : []
}

function forms(schema: JsonSchema): readonly JsonSchema[] {
  const nested = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...nested.flatMap(forms)]
}
