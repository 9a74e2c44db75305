import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { FateOf } from '../data-folder/fates.ts'
import type { DatabaseRow } from './catalog-heap.ts'
import type { FoundDatabases } from './look.ts'

/** What of a cluster comes back with its contents, and what does not. */
export interface ChosenDatabases {
  /** Databases without their contents: to be dropped. */
  readonly left: readonly { readonly oid: string; readonly name: string }[]
  readonly isLeft: (oid: string) => boolean
  readonly isZeros: (name: string) => boolean
  readonly fate: FateOf
}

/** Every cluster needs them. */
const ALWAYS: ReadonlySet<string> = new Set(['template0', 'template1', 'postgres'])
/** Smaller ones are of databases that initdb made. */
const FIRST_OWN = 16_384
const FILE = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)\/(.+)$/

/** `postgres`, the templates and what else initdb made. */
export const isAlwaysTaken = ({ oid, name }: DatabaseRow): boolean => Number(oid) < FIRST_OWN || ALWAYS.has(name)

/** USAGE for a name that is not there, with those that are. */
export function chooseDatabases({ rows, oids }: FoundDatabases, wanted: readonly string[]): ChosenDatabases {
  const there = rows.filter(({ oid }) => oids.has(oid))
  const names = [...new Set(there.map(({ name }) => name))].sort()
  const [unknown] = wanted.filter((name) => !names.includes(name))
  if (unknown !== undefined) {
    const reason = `the backup has no database ${JSON.stringify(unknown)}; it has ${names.join(', ')}`
    throw new SalvorError('USAGE', { reason, command: 'restore' })
  }
  // A database that was renamed while the backup ran has two names.
  const kept = new Set(there.filter((row) => isAlwaysTaken(row) || wanted.includes(row.name)).map(({ oid }) => oid))
  const left = new Map(there.flatMap(({ oid, name }) => (kept.has(oid) ? [] : [[oid, name]])))
  const isLeft = (oid: string): boolean => left.has(oid)
  const isZeros = (file: string): boolean => {
    const [, oid, name] = FILE.exec(file) ?? []
    return oid !== undefined && isLeft(oid) && name !== 'PG_VERSION'
  }
  return {
    left: [...left].map(([oid, name]) => ({ oid, name })),
    isLeft,
    isZeros,
    fate: (name) => (isZeros(name) ? 'zeros' : 'take'),
  }
}

/** Which databases did not come back, and what to type once the server runs. */
export function leftOut({ left }: ChosenDatabases): string {
  if (left.length === 0) return 'all of them were restored'
  const drop = left.map(({ name }) => `DROP DATABASE "${name.replaceAll('"', '""')}";`)
  return `not restored: ${left.map(({ name }) => name).join(', ')}. Once the server runs: ${drop.join(' ')}`
}
